//! Row G4 of docs/faults.md: a program that is killed while it writes. What it was told is there;
//! what it was not told is there whole, or not at all.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use dashboard::report::{
    content::Language,
    store::{Reader, Store},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sqlx::query_scalar;

use super::field::{Field, at, draft, id, open, sqlite};
use crate::postgres::Postgres;

/// Tells the child where to write; without it, this test program is nobody's child.
const WRITE_TO: &str = "DASHBOARD_TEST_WRITES_REPORTS_TO";
const CYCLES: u32 = 50;

/// What the writer was told: id and revision.
type Acknowledged = HashMap<i64, i64>;

/// Killed if the test ends before it does.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program that is killed: writes report after report, and says what was acknowledged.
#[tokio::test]
async fn a_child_writes_until_it_is_killed() {
    let Ok(address) = std::env::var(WRITE_TO) else {
        return;
    };
    let store = open(&address);
    let say = |id: i64, revision: i64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nkept {id} {revision}").and_then(|()| out.flush())
    };
    // Ends with whoever reads it, if not before.
    loop {
        let made = store.create(draft("revision 1"), at(1)).await;
        let mut report = made.expect("the database is there");
        if say(report.id.get(), 1).is_err() {
            return;
        }
        for next in 2..=4 {
            let text = draft(&format!("revision {next}"));
            let revised = store
                .revise(report.id, report.revision, text, at(next))
                .await;
            report = revised.expect("nobody else writes");
            if say(report.id.get(), report.revision.get()).is_err() {
                return;
            }
        }
    }
}

/// Starts a writer, lets it be told of `writes`, and kills it a moment later.
fn killed_after(address: &str, writes: u32, moment: Duration, kept: &mut Acknowledged) {
    let own = std::env::current_exe().expect("this program");
    let child = Command::new(own)
        .args([
            "reports::kills::a_child_writes_until_it_is_killed",
            "--exact",
            "--nocapture",
        ])
        .env(WRITE_TO, address)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program starts");
    let mut writer = Writer(child);
    let lines = BufReader::new(writer.0.stdout.take().expect("it is a pipe")).lines();
    let mut told = 0;
    for line in lines {
        let line = line.expect("text");
        let Some(said) = line.strip_prefix("kept ") else {
            continue;
        };
        let (id, revision) = said.split_once(' ').expect("two numbers");
        let (id, revision) = (id.parse(), revision.parse());
        kept.insert(id.expect("a number"), revision.expect("a number"));
        told += 1;
        if told == writes {
            // Waits for nothing: it goes on writing, and the kill is to find it anywhere in that.
            // What it was told meanwhile is read here, up to the end of the pipe.
            std::thread::park_timeout(moment);
            writer.0.kill().expect("it is ours");
        }
    }
    assert!(
        told >= writes,
        "it ended by itself after {told} of {writes}"
    );
}

async fn nothing_is_lost(store: &dyn Store, kept: &Acknowledged) {
    for (number, revision) in kept {
        let stored = store.by_id(id(*number), Reader::Author).await;
        let stored = stored.expect("it answers").expect("it was acknowledged");
        assert!(stored.revision.get() >= *revision, "{number}");
        assert!(stored.revision.get() <= revision + 1, "{number}");
    }
    // What was not acknowledged as well: the newest id may be one that nobody was told of.
    let newest = kept.keys().max().expect("something was kept") + 1;
    for number in 1..=newest {
        let stored = store.by_id(id(number), Reader::Author).await;
        let Some(stored) = stored.expect("it answers") else {
            continue;
        };
        let text = draft(&format!("revision {}", stored.revision));
        for language in Language::ALL {
            let content = stored.contents.get(language);
            assert_eq!(content, text.contents.get(language), "{number}");
        }
    }
}

#[tokio::test]
async fn a_file_is_sound_and_has_all_that_was_acknowledged_after_each_of_fifty_kills() {
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let field = Field::sqlite();
    let path = field.address.strip_prefix("sqlite://").expect("a file");
    let mut kept = Acknowledged::new();
    for cycle in 0..CYCLES {
        let moment = Duration::from_micros(random.random_range(0..8_000));
        killed_after(&field.address, random.random_range(1..6), moment, &mut kept);
        let mut connection = sqlite(Path::new(path)).await;
        let checked = query_scalar("PRAGMA integrity_check");
        let checked: String = checked
            .fetch_one(&mut connection)
            .await
            .expect("it answers");
        assert_eq!(checked, "ok", "cycle {cycle}");
    }
    nothing_is_lost(&*field.store, &kept).await;
}

#[tokio::test]
async fn a_server_has_all_that_was_acknowledged_when_programs_and_itself_are_killed() {
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = Postgres::start().await;
    let address = server.database().await;
    let store = open(&address);
    let mut kept = Acknowledged::new();
    for cycle in 0..8 {
        let moment = Duration::from_micros(random.random_range(0..8_000));
        killed_after(&address, random.random_range(1..6), moment, &mut kept);
        // Once: coming back from it, a server makes sure of every file that it has.
        if cycle == 5 {
            server.crash();
            server.launch().await;
        }
    }
    store.migrate().await.expect("it answers");
    nothing_is_lost(&*store, &kept).await;
}
