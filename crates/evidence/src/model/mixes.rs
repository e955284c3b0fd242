//! The scenarios of the protocol: every mix of a few calls, and some chosen ones.

use super::{
    fault::Fault,
    mutant::Tags,
    scenario::{Scenario, Start},
    state::Call,
};

/// What scenarios are totalled by.
pub(crate) type Group = String;

const STARTS: [Start; 3] = [Start::Empty, Start::Filled, Start::Warm];
const TAGS: [Tags; 3] = [Tags::None, Tags::Before, Tags::After];
const FAULTS: [Fault; 9] = [
    Fault::Cut,
    Fault::TimeOut,
    Fault::Flush,
    Fault::LoseLease,
    Fault::LoseValue,
    Fault::Collide,
    Fault::FailLoad,
    Fault::Failover,
    Fault::Abandon,
];
/// Those that mean something only if values have a tag.
const TAG_FAULTS: [Fault; 2] = [Fault::LoseTag, Fault::LoseClock];

type Grouped = Vec<(Group, Scenario)>;

/// Every mix of `length` calls with a reader and a writer on two processes. Two
/// mixes that differ in the names of the processes are one.
fn mixes(length: usize, tags: Tags) -> Vec<Vec<(u8, Call)>> {
    let mut kinds = vec![Call::Read, Call::Refresh, Call::Set, Call::Remove];
    kinds.push(match tags {
        Tags::None => Call::RemovePrefix,
        _ => Call::RemoveTag,
    });
    let on = |process: u8| kinds.iter().map(move |&call| (process, call));
    let calls: Vec<(u8, Call)> = on(0).chain(on(1)).collect();
    let mut mixes = vec![Vec::new()];
    for _ in 0..length {
        let longer = mixes.iter().flat_map(|mix: &Vec<(u8, Call)>| {
            let next = calls.iter().filter(|call| mix.last() <= Some(call));
            next.map(|&call| mix.iter().copied().chain([call]).collect())
        });
        mixes = longer.collect();
    }
    mixes.retain(|mix| is_telling(mix));
    mixes
}

fn is_telling(mix: &[(u8, Call)]) -> bool {
    let reads = |&(_, call): &(u8, Call)| matches!(call, Call::Read | Call::Refresh);
    let mut mirrored: Vec<(u8, Call)> = mix.iter().map(|&(at, call)| (1 - at, call)).collect();
    mirrored.sort_unstable();
    mix.iter().any(reads) && !mix.iter().all(reads) && *mix <= *mirrored
}

fn spread(length: usize, tags: Tags, fault: Option<Fault>) -> Grouped {
    let fault_name = fault.map_or("no fault".to_owned(), |fault| format!("{fault:?}"));
    let group = format!("{length} calls, {}, {fault_name}", tags.name());
    let of_mix = |mix: Vec<(u8, Call)>| {
        STARTS.map(|start| Scenario {
            calls: mix.clone(),
            tags,
            start,
            faults: fault.into_iter().collect(),
            order: &[],
        })
    };
    let scenarios = mixes(length, tags).into_iter().flat_map(of_mix);
    scenarios
        .map(|scenario| (group.clone(), scenario))
        .collect()
}

fn faults_of(tags: Tags) -> impl Iterator<Item = Option<Fault>> {
    let tag_faults = match tags {
        Tags::None => &[][..],
        Tags::Before => &TAG_FAULTS[..1],
        Tags::After => &TAG_FAULTS,
    };
    let faults = FAULTS.iter().chain(tag_faults).copied().map(Some);
    [None].into_iter().chain(faults)
}

fn chosen(
    group: &str,
    calls: &[(u8, Call)],
    (tags, start): (Tags, Start),
    faults: &[Fault],
) -> (Group, Scenario) {
    let scenario = Scenario {
        calls: calls.to_vec(),
        tags,
        start,
        faults: faults.to_vec(),
        order: &[],
    };
    (group.to_owned(), scenario)
}

/// Seconds, without optimisation.
pub(crate) fn fast() -> Grouped {
    let mut all = Vec::new();
    for tags in TAGS {
        all.extend(spread(2, tags, None));
    }
    for fault in [Fault::Cut, Fault::TimeOut] {
        all.extend(spread(2, Tags::None, Some(fault)));
        all.extend(spread(2, Tags::After, Some(fault)));
    }
    all.extend(telling());
    all.extend(three_processes());
    all
}

/// Minutes, optimised. Each mix of three meets each fault, from one of the starts.
pub(crate) fn full() -> Grouped {
    let mut all = of_two();
    for tags in TAGS {
        all.extend(spread(3, tags, None));
        for fault in faults_of_three(tags) {
            let group = spread(3, tags, Some(fault));
            let is_next =
                |index: &usize| index % STARTS.len() == index / STARTS.len() % STARTS.len();
            let some = group.into_iter().enumerate();
            all.extend(
                some.filter(|(index, _)| is_next(index))
                    .map(|(_, next)| next),
            );
        }
    }
    all.extend(three_processes());
    all.extend(pairs_of_faults());
    all
}

/// An hour, optimised: each mix of three meets each fault, from each start.
pub(crate) fn whole() -> Grouped {
    let mut all = of_two();
    for tags in TAGS {
        all.extend(spread(3, tags, None));
        for fault in faults_of_three(tags) {
            all.extend(spread(3, tags, Some(fault)));
        }
    }
    all.extend(three_processes());
    all.extend(pairs_of_faults());
    all
}

fn of_two() -> Grouped {
    let of_tags = |tags| faults_of(tags).flat_map(move |fault| spread(2, tags, fault));
    TAGS.into_iter().flat_map(of_tags).collect()
}

/// A failover is a cut link whose late bytes are refused; a caller who goes away
/// changes nothing unless a rule is off.
fn faults_of_three(tags: Tags) -> impl Iterator<Item = Fault> {
    let faults = faults_of(tags).flatten();
    faults.filter(|fault| !matches!(fault, Fault::Failover | Fault::Abandon))
}

/// Mixes of three that have found something.
fn telling() -> Grouped {
    use Call::{Read, Remove, RemovePrefix, RemoveTag, Set};
    let group = "3 calls, chosen";
    let at = |tags, start| (tags, start);
    vec![
        chosen(
            group,
            &[(0, Read), (0, Read), (1, Remove)],
            at(Tags::None, Start::Empty),
            &[Fault::Cut],
        ),
        chosen(
            group,
            &[(0, Read), (0, Set), (1, Set)],
            at(Tags::None, Start::Filled),
            &[Fault::LoseLease],
        ),
        chosen(
            group,
            &[(0, Read), (0, RemovePrefix), (1, Read)],
            at(Tags::None, Start::Empty),
            &[],
        ),
        chosen(
            group,
            &[(0, Read), (0, RemoveTag), (1, RemoveTag)],
            at(Tags::Before, Start::Warm),
            &[],
        ),
        chosen(
            group,
            &[(0, Read), (0, Read), (1, RemoveTag)],
            at(Tags::After, Start::Empty),
            &[],
        ),
    ]
}

fn three_processes() -> Grouped {
    let group = "3 processes";
    let tag = (Tags::Before, Start::Filled);
    let none = (Tags::None, Start::Filled);
    vec![
        chosen(
            group,
            &[(0, Call::Read), (1, Call::Read), (2, Call::Remove)],
            none,
            &[],
        ),
        chosen(
            group,
            &[(0, Call::Read), (1, Call::Set), (2, Call::Remove)],
            none,
            &[Fault::LoseLease],
        ),
        chosen(
            group,
            &[(0, Call::Read), (1, Call::RemoveTag), (2, Call::RemoveTag)],
            tag,
            &[],
        ),
    ]
}

/// Set beside remove and read; read beside remove and read.
fn pairs_of_faults() -> Grouped {
    let mut all = Vec::new();
    let mixes = [
        [(0, Call::Read), (0, Call::Set), (1, Call::Remove)],
        [(0, Call::Read), (0, Call::Read), (1, Call::Remove)],
    ];
    for mix in mixes {
        for (index, &first) in FAULTS.iter().enumerate() {
            for &second in &FAULTS[index..] {
                let setting = (Tags::None, Start::Filled);
                all.push(chosen("pairs of faults", &mix, setting, &[first, second]));
            }
        }
    }
    all
}
