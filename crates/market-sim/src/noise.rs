//! Reproducible randomness: everything random is a function of a key and a place.

/// One wave of a noise: how far apart its free values lie, and how far it swings.
pub(crate) struct Octave {
    pub(crate) period: f64,
    pub(crate) swing: f64,
}

/// A sum of octaves at `place`, each with free values of its own under `key`.
pub(crate) fn octaves(key: u64, place: f64, waves: &[Octave]) -> f64 {
    let wave = |(number, octave): (usize, &Octave)| {
        octave.swing * smooth(mix(key, number as u64), place / octave.period)
    };
    waves.iter().enumerate().map(wave).sum()
}

/// Value noise in -1..1: free at whole places, smooth between them.
fn smooth(key: u64, place: f64) -> f64 {
    let floor = place.floor();
    let left = signed(mix(key, floor as i64 as u64));
    let right = signed(mix(key, (floor as i64 + 1) as u64));
    let part = place - floor;
    let eased = part * part * (3.0 - 2.0 * part);
    left + (right - left) * eased
}

/// A key below `key` that shares nothing visible with its neighbours (the splitmix64 finaliser).
///
/// Written here, not taken from a crate: generators promise a distribution, not that their stream
/// stays the same across versions, and the history of a seed should.
pub(crate) fn mix(key: u64, word: u64) -> u64 {
    let mut bits = key ^ word.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The key's number in 0..1.
pub(crate) fn unit(key: u64) -> f64 {
    // 53 bits are what a double holds, so 1.0 itself cannot come out.
    (mix(key, 0x5eed) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The key's number in -1..1.
pub(crate) fn signed(key: u64) -> f64 {
    unit(key) * 2.0 - 1.0
}
