//! A folder with a pipeline file in it, and the binary run there.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Long enough on a noisy machine; a job that takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own.
pub struct Folder(tempfile::TempDir);

/// How a run ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub talk: String,
}

impl Folder {
    /// With this pipeline in `p.yaml`.
    pub fn with(pipeline: &str) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("p.yaml", pipeline);
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The lines of all files whose names start like this, sorted.
    pub fn lines(&self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(self.0.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_str().unwrap().starts_with(start) {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                lines.extend(text.lines().map(str::to_owned));
            }
        }
        lines.sort();
        lines
    }

    /// Removes the files whose names start like this.
    pub fn clear(&self, start: &str) {
        for entry in std::fs::read_dir(self.0.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_str().unwrap().starts_with(start) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tiderace"));
        command.current_dir(self.0.path()).args(args).env_remove("TIDERACE_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `tiderace run p.yaml --http off` with these arguments to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.tiderace(&[&["run", "p.yaml", "--http", "off"], args].concat())
    }

    /// Runs the binary to its end.
    pub fn tiderace(&self, args: &[&str]) -> Ended {
        let child = self.command(args).spawn().unwrap();
        let output = within_patience(child);
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            talk: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// A number of the ledger.
    pub fn ledger(&self, name: &str) -> u64 {
        let line = self.talk.lines().find_map(|line| line.strip_prefix("  ")?.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        let number = number.unwrap_or_else(|| panic!("no `{name}` in:\n{}", self.talk));
        number.replace(',', "").parse().unwrap()
    }

    #[track_caller]
    pub fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.talk);
        for word in words {
            assert!(self.talk.contains(word), "no `{word}` in:\n{}", self.talk);
        }
        assert!(!self.talk.contains("panicked"), "{}", self.talk);
    }
}

/// Waits for the end; a job that hangs is killed.
fn within_patience(mut child: Child) -> Output {
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |mut from: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            bytes
        })
    };
    let (out, talk) = (read(Box::new(stdout)), read(Box::new(stderr)));
    let until = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            let talk = String::from_utf8_lossy(&talk.join().unwrap()).into_owned();
            panic!("the job did not end:\n{talk}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Output { status, stdout: out.join().unwrap(), stderr: talk.join().unwrap() }
}

/// A job in the background, its standard error read line by line.
pub struct Running {
    pub child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    pub said: String,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr: ChildStderr = child.stderr.take().unwrap();
        let (send, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, lines, said: String::new() }
    }

    /// The first line from here on that contains this.
    pub fn line_with(&mut self, word: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said += &format!("{line}\n");
                    if line.contains(word) {
                        return line;
                    }
                }
                Err(_) => panic!("never said `{word}`:\n{}", self.said),
            }
        }
    }

    /// The address of the endpoint, from the banner.
    pub fn endpoint(&mut self) -> String {
        let line = self.line_with("endpoint http://");
        line.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// Sends SIGTERM and gives the exit code and all that was said.
    pub fn stop(mut self) -> (i32, String) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(done.unwrap().success());
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "did not stop:\n{}", self.said);
            std::thread::sleep(Duration::from_millis(5));
        };
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.said += &format!("{line}\n");
        }
        (status.code().unwrap_or(-1), std::mem::take(&mut self.said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every example pipeline is right, and none is missing.
#[test]
fn examples_are_checked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipelines");
    let here = Folder::with("");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ended = here.tiderace(&["check", path.to_str().unwrap(), "--deny-warnings"]);
        ended.expect(0, &[]);
        assert!(ended.out.contains("no mistakes"), "{}", ended.out);
        seen += 1;
    }
    assert!(seen >= 4, "{seen} examples");
}
