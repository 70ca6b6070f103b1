//! Starting, stopping and losing processes, on programs that run in processes of their own.
//!
//! The program is this test binary itself: `program` below is started with the environment variable
//! that says what it shall do and with which launch flags.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tiderace::error::{Error, Kind};
use tiderace::runtime::{self, Worker};
use timely::dataflow::operators::{Exchange, Inspect, ToStream};

/// What the program does, and its command line.
const ROLE: &str = "LAUNCH_TEST_ROLE";
const LINE: &str = "LAUNCH_TEST_LINE";

/// Not a test: the program the tests start.
#[test]
#[ignore = "it is started by the other tests"]
fn program() {
    let (Ok(role), Ok(line)) = (std::env::var(ROLE), std::env::var(LINE)) else { return };
    let args: Vec<String> = line.split_whitespace().map(String::from).collect();
    let result = runtime::execute(args, move |worker| run(&role, worker));
    match result {
        Ok(outcome) => {
            println!("results={:?}", outcome.results());
            std::process::exit(0)
        }
        Err(error) => {
            runtime::report(&error);
            std::process::exit(error.kind().exit_code())
        }
    }
}

fn run(role: &str, worker: &mut Worker<'_>) -> Result<u64, Error> {
    let process = worker.process().clone();
    println!("started p{} w{} r{}", process.index(), worker.index(), process.restarts());
    println!("pid p{} {}", process.index(), std::process::id());
    let (index, peers) = (worker.index(), worker.peers());
    match role {
        "exchange" => {
            let count = std::rc::Rc::new(std::cell::Cell::new(0u64));
            let seen = count.clone();
            let mine = (0..1000u64).filter(move |n| *n as usize % peers == index);
            worker.timely().dataflow::<u64, _, _>(|scope| {
                mine.to_stream(scope)
                    .container::<Vec<_>>()
                    .exchange(|n| n * 7)
                    .inspect(move |_| seen.set(seen.get() + 1));
            });
            while worker.timely().step_or_park(None) {}
            Ok(count.get())
        }
        "arguments" => {
            println!("own={:?}", worker.args());
            Ok(0)
        }
        "usage" => Err(Error::new(Kind::Data, "row 7 is bad").hint("mend it")),
        "panic" if index == 1 => panic!("on purpose"),
        "operator fails" if index == 1 => {
            process.fail(Error::new(Kind::Storage, "the disk is full"));
            forever(worker)
        }
        "stuck" => {
            if index == 1 {
                process.fail(Error::new(Kind::Storage, "the disk is full"));
            }
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        "ignores stop" => {
            std::thread::sleep(Duration::from_secs(120));
            Ok(0)
        }
        _ => forever(worker),
    }
}

/// A dataflow that exchanges until the job is stopped.
fn forever(worker: &mut Worker<'_>) -> Result<u64, Error> {
    use timely::dataflow::operators::generic::operator::source;
    let process = worker.process().clone();
    worker.timely().dataflow::<u64, _, _>(|scope| {
        source(scope, "Forever", |capability, info| {
            let activator = scope.activator_for(info.address);
            let mut capability = Some(capability);
            move |output| {
                if process.stopping() {
                    capability = None;
                }
                if let Some(capability) = capability.as_mut() {
                    output.session(&capability).give(*capability.time());
                    let next = capability.time() + 1;
                    capability.downgrade(&next);
                    activator.activate_after(Duration::from_millis(5));
                }
            }
        })
        .container::<Vec<_>>()
        .exchange(|n| *n);
    });
    Ok(0)
}

struct Program {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    fn start(role: &str, line: &str) -> Program {
        Program::start_with(role, line, |_| ())
    }

    fn start_with(role: &str, line: &str, adjust: impl FnOnce(&mut Command)) -> Program {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["program", "--exact", "--ignored", "--nocapture"]);
        command.env(ROLE, role).env(LINE, format!("program {line}"));
        command.env_remove("RUST_BACKTRACE").env_remove("TIDERACE_SECRET");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        adjust(&mut command);
        let mut child = command.spawn().unwrap();
        let (send, lines) = std::sync::mpsc::channel();
        for pipe in [
            Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>,
            Box::new(child.stderr.take().unwrap()),
        ] {
            let send = send.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = send.send(line);
                }
            });
        }
        Program { child, lines, seen: Vec::new() }
    }

    /// Waits until a line with these words has come.
    fn wait_for(&mut self, words: &str) -> String {
        let until = Instant::now() + Duration::from_secs(60);
        if let Some(line) = self.seen.iter().find(|line| line.contains(words)) {
            return line.clone();
        }
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let Ok(line) = self.lines.recv_timeout(left) else { break };
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
        let _ = self.child.kill();
        panic!("never said {words:?}:\n{}", self.seen.join("\n"));
    }

    fn signal(&self, signal: &str) {
        kill(self.child.id(), signal);
    }

    /// The exit status and all that was said.
    fn end(mut self) -> (ExitStatus, String) {
        let until = Instant::now() + Duration::from_secs(90);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                let _ = self.child.kill();
                panic!("never ended:\n{}", self.said());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let said = self.said();
        (status, said)
    }

    fn said(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(2)) {
            self.seen.push(line);
        }
        self.seen.join("\n")
    }
}

fn kill(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn results(said: &str) -> Vec<u64> {
    let mut all = Vec::new();
    for line in said.lines() {
        if let Some((_, list)) = line.split_once("results=[") {
            let list = list.trim_end_matches(']');
            all.extend(
                list.split(", ").filter(|n| !n.is_empty()).map(|n| n.parse::<u64>().unwrap()),
            );
        }
    }
    all
}

#[test]
fn threads_of_one_process() {
    for (line, workers) in [("-w 1", 1), ("-w 2", 2), ("-w 5", 5), ("-w 3 -z", 3)] {
        let (status, said) = Program::start("exchange", line).end();
        assert_eq!(status.code(), Some(0), "{line}: {said}");
        let results = results(&said);
        assert_eq!(results.len(), workers, "{line}: {said}");
        assert_eq!(results.iter().sum::<u64>(), 1000, "{line}: {said}");
    }
}

#[test]
fn a_program_has_its_own_arguments() {
    let (status, said) = Program::start("arguments", "50 -w 1 -- --fast").end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains(r#"own=["50", "--fast"]"#), "{said}");
}

#[test]
fn an_error_of_the_program_is_returned() {
    let (status, said) = Program::start("usage", "-w 2").end();
    assert_eq!(status.code(), Some(65), "{said}");
    assert_eq!(said.matches("row 7 is bad").count(), 1, "{said}");
    assert!(said.contains("hint: mend it"), "{said}");
}

#[test]
fn a_failure_of_an_operator_ends_all_workers() {
    for role in ["operator fails", "stuck"] {
        let mut program = Program::start(role, "-w 2");
        program.wait_for("started p0 w1");
        let begin = Instant::now();
        let (status, said) = program.end();
        assert_eq!(status.code(), Some(74), "{role}: {said}");
        assert!(said.contains("the disk is full"), "{role}: {said}");
        assert!(begin.elapsed() < Duration::from_secs(8), "{role}: {:?}", begin.elapsed());
    }
}

#[test]
fn a_panic_in_one_thread_ends_the_process() {
    for line in ["-w 2", "-w 2 -z"] {
        let (status, said) = Program::start("panic", line).end();
        assert_eq!(status.code(), Some(70), "{line}: {said}");
        assert!(said.contains("on purpose") && said.contains("please report"), "{line}: {said}");
    }
}

#[test]
fn a_worker_index_outside_the_processes_is_wrong_usage() {
    let (status, said) = Program::start("exchange", "-n 2 -p 2").end();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("--process 2 is outside --processes 2"), "{said}");
}

#[test]
fn the_first_signal_stops_and_the_second_ends() {
    for signal in ["-TERM", "-INT"] {
        let mut program = Program::start("forever", "-w 2");
        program.wait_for("started p0 w1");
        program.signal(signal);
        let (status, said) = program.end();
        assert_eq!(status.code(), Some(0), "{signal}: {said}");
    }
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut program = Program::start("ignores stop", "-w 1");
        program.wait_for("started p0 w0");
        program.signal(signal);
        program.wait_for("stopping");
        program.signal(signal);
        let (status, said) = program.end();
        assert_eq!(status.code(), Some(code), "{signal}: {said}");
    }
}

#[test]
fn a_stop_that_takes_too_long_is_cut_off() {
    let mut program = Program::start("ignores stop", "--grace 300ms");
    program.wait_for("started p0 w0");
    program.signal("-TERM");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(143), "{said}");
    assert!(said.contains("--grace"), "{said}");
}
