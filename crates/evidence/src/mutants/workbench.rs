//! A copy of the sources, in which one place at a time is changed, built and tested.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt, fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use terrace::BoxError;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::code::CodeMutant;

/// What a test may take beyond what it takes when all is well. Its own patience with
/// something that hangs is 30 s: nobody waits for that.
const SLACK: Duration = Duration::from_secs(10);
/// A test that depends on time may fail once on a busy machine, and a failure by
/// chance is no catch: without a mutant all of these pass, with it all of them fail.
const ATTEMPTS: u32 = 2;

/// The copy, and how long each test takes there.
pub(super) struct Workbench {
    tree: PathBuf,
    target: PathBuf,
    /// Without a mutant. Those that did not pass each attempt are not here.
    took: BTreeMap<&'static str, Duration>,
}

/// What became of a mutant.
pub(super) enum Trial {
    /// By this test.
    Caught(&'static str),
    /// It waits for ever, or nearly.
    Hangs(&'static str),
    Survived,
    /// This test failed once and passed once, with the mutant or without: no catch.
    Unsteady(&'static str),
    /// It shows nothing: this is wrong with it.
    Void(String),
}

impl Trial {
    pub(super) fn is_caught(&self) -> bool {
        matches!(self, Self::Caught(_) | Self::Hangs(_))
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught(test) => f.write_str(test),
            Self::Hangs(test) => write!(f, "{test} (hangs)"),
            Self::Survived => f.write_str("SURVIVED"),
            Self::Unsteady(test) => write!(f, "NOT SHOWN: {test} is unsteady"),
            Self::Void(why) => write!(f, "VOID: {why}"),
        }
    }
}

/// What a test makes of a mutant.
enum Notice {
    Never,
    /// By chance, as far as anybody knows.
    Sometimes,
    Always,
    Hangs,
}

/// How a test went.
enum Run {
    Passed,
    Failed,
    Hung,
}

impl Workbench {
    /// Copies the sources, builds them as they are, and has them pass the tests.
    pub(super) async fn prepare(root: &Path, mutants: &[&CodeMutant]) -> Result<Self, BoxError> {
        let target = std::env::var_os("CARGO_TARGET_DIR");
        let target = target.map_or_else(|| root.join("target"), PathBuf::from);
        let place = target.join("mutants");
        let mut bench = Self {
            tree: place.join("tree"),
            target: place.join("target"),
            took: BTreeMap::new(),
        };
        bench.copy(root).await?;
        eprintln!("building the tests as they are");
        let program = bench.build().await?;
        let tests: BTreeSet<&str> = mutants.iter().flat_map(|m| m.caught_by).copied().collect();
        eprintln!("running {} tests as they are", tests.len());
        for test in tests {
            match bench.is_steady(&program, test).await? {
                Some(took) => _ = bench.took.insert(test, took),
                None => eprintln!("unsteady without any mutant: {test}"),
            }
        }
        Ok(bench)
    }

    /// How long the test takes at most, if it passes each attempt.
    async fn is_steady(&self, program: &Path, test: &str) -> Result<Option<Duration>, BoxError> {
        let mut longest = Duration::ZERO;
        for _ in 0..ATTEMPTS {
            let start = Instant::now();
            if !matches!(self.run(program, test, SLACK * 6).await?, Run::Passed) {
                return Ok(None);
            }
            longest = longest.max(start.elapsed());
        }
        Ok(Some(longest))
    }

    /// Builds and tests with one rule off, and puts the place back.
    pub(super) async fn try_out(&self, mutant: &CodeMutant) -> Result<Trial, BoxError> {
        let file = self.tree.join("crates/terrace/src").join(mutant.file);
        let sound = fs::read_to_string(&file)?;
        let changed = match mutant.apply(&sound) {
            Ok(changed) => changed,
            Err(why) => return Ok(Trial::Void(why)),
        };
        fs::write(&file, changed)?;
        let trial = self.judge(mutant).await;
        fs::write(&file, sound)?;
        trial
    }

    async fn judge(&self, mutant: &CodeMutant) -> Result<Trial, BoxError> {
        let program = match self.build().await {
            Ok(program) => program,
            Err(error) => return Ok(Trial::Void(error.to_string())),
        };
        let mut unsteady = None;
        for test in mutant.caught_by {
            match self.notices(&program, test).await? {
                Notice::Never => {}
                Notice::Sometimes => unsteady = unsteady.or(Some(*test)),
                Notice::Always => return Ok(Trial::Caught(test)),
                Notice::Hangs => return Ok(Trial::Hangs(test)),
            }
        }
        Ok(unsteady.map_or(Trial::Survived, Trial::Unsteady))
    }

    /// Whether the test fails each attempt. The first that passes ends it: then it is
    /// no catch whatever the others do.
    async fn notices(&self, program: &Path, test: &str) -> Result<Notice, BoxError> {
        let Some(took) = self.took.get(test) else {
            return Ok(Notice::Sometimes);
        };
        let (limit, mut hung) = (*took * 3 + SLACK, false);
        for attempt in 0..ATTEMPTS {
            match self.run(program, test, limit).await? {
                Run::Passed if attempt == 0 => return Ok(Notice::Never),
                Run::Passed => return Ok(Notice::Sometimes),
                Run::Failed => {}
                Run::Hung => hung = true,
            }
        }
        Ok(if hung { Notice::Hangs } else { Notice::Always })
    }

    /// Every file that is tracked or could be. What has not changed keeps its time,
    /// so that it is not built again.
    async fn copy(&self, root: &Path) -> Result<(), BoxError> {
        let mut list = Command::new("git");
        list.args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let list = list.current_dir(root).output().await?;
        if !list.status.success() {
            return Err("git does not list the sources".into());
        }
        let mut kept = BTreeSet::new();
        for name in list.stdout.split(|byte| *byte == 0) {
            let name = Path::new(OsStr::from_bytes(name));
            let (from, to) = (root.join(name), self.tree.join(name));
            if !from.is_file() {
                continue;
            }
            let bytes = fs::read(&from)?;
            if fs::read(&to).ok().as_ref() != Some(&bytes) {
                fs::create_dir_all(to.parent().ok_or("a file without a folder")?)?;
                fs::write(&to, bytes)?;
            }
            kept.insert(to);
        }
        prune(&self.tree, &kept)?;
        Ok(())
    }

    /// The test program, or what the compiler says.
    async fn build(&self) -> Result<PathBuf, BoxError> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args([
            "test",
            "--locked",
            "--quiet",
            "-p",
            "terrace",
            "--all-features",
        ]);
        cargo.args(["--test", "it", "--no-run", "--message-format", "json"]);
        cargo.current_dir(&self.tree);
        cargo.env("CARGO_TARGET_DIR", &self.target);
        // Nobody looks into a mutant with a debugger.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
        // A warning is no catch.
        cargo.env_remove("RUSTFLAGS").kill_on_drop(true);
        let output = cargo.output().await?;
        let messages = String::from_utf8_lossy(&output.stdout);
        let messages: Vec<serde_json::Value> = messages
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        if output.status.success() {
            let mut programs = messages.iter().filter_map(|one| one["executable"].as_str());
            let program = programs.next_back().ok_or("cargo names no test program")?;
            return Ok(PathBuf::from(program));
        }
        let is_error = |one: &&serde_json::Value| one["message"]["level"] == "error";
        let first = messages.iter().find(is_error);
        let first = first.and_then(|one| one["message"]["message"].as_str());
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("does not build: {}", first.unwrap_or(said.trim())).into())
    }

    /// One test by its full name, with what it starts.
    async fn run(&self, program: &Path, test: &str, limit: Duration) -> Result<Run, BoxError> {
        let mut command = Command::new(program);
        command.args(["--exact", test]).process_group(0);
        command.current_dir(self.tree.join("crates/terrace"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut group = Group(command.kill_on_drop(true).spawn()?);
        let stdout = group.0.stdout.take().ok_or("no output")?;
        let said = async {
            let mut said = String::new();
            let mut stdout = tokio::io::BufReader::new(stdout);
            tokio::io::AsyncReadExt::read_to_string(&mut stdout, &mut said).await?;
            Ok::<_, BoxError>((group.0.wait().await?, said))
        };
        let Ok(ended) = timeout(limit, said).await else {
            return Ok(Run::Hung);
        };
        let (status, said) = ended?;
        if !said.contains("running 1 test") {
            return Err(format!("there is no test {test}").into());
        }
        Ok(if status.success() {
            Run::Passed
        } else {
            Run::Failed
        })
    }
}

/// A process and those that it started: servers, which would outlive it.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Its number is ours as long as nobody has waited for it.
        let pid = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Files of another day would be tested as well.
fn prune(folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<(), BoxError> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            prune(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
