//! Starting, stopping and losing processes, on programs that run in processes of their own.
//!
//! The program is this test binary itself: `program` below is started with the environment variable
//! that says what it shall do and with which launch flags.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tiderace::error::{Error, Kind};
use tiderace::runtime::{self, Outcome, Worker};
use timely::dataflow::operators::{Exchange, Inspect, ToStream};

/// What the program does, and its command line.
const ROLE: &str = "LAUNCH_TEST_ROLE";
const LINE: &str = "LAUNCH_TEST_LINE";

/// Within this time an end must be seen. The promise is two seconds; the rest is for a busy machine.
const SOON: Duration = Duration::from_secs(6);

/// Not a test: the program the tests start.
#[test]
#[ignore = "it is started by the other tests"]
fn program() {
    let (Ok(role), Ok(line)) = (std::env::var(ROLE), std::env::var(LINE)) else { return };
    let args: Vec<String> = line.split_whitespace().map(String::from).collect();
    let result = runtime::execute(args, move |worker| run(&role, worker));
    match result {
        Ok(outcome) => {
            if let Outcome::Finished { process, .. } = &outcome
                && process.index() == 0
            {
                let text = |bytes| String::from_utf8(bytes).unwrap();
                let all = process.snapshots().into_iter();
                let all: Vec<_> =
                    all.map(|(index, bytes)| format!("{index}: {}", text(bytes))).collect();
                println!("snapshots={all:?}");
            }
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
    println!("pid p{} r{} {}", process.index(), process.restarts(), std::process::id());
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
        "storage" => Err(Error::new(Kind::Storage, "the disk is full")),
        "snapshots" => {
            process.publish(b"working".to_vec())?;
            let me = process.index();
            process.on_finish(move || format!("bye from {me}").into_bytes());
            worker.timely().dataflow::<u64, _, _>(|scope| {
                (0..10u64).to_stream(scope).container::<Vec<_>>().exchange(|n| *n);
            });
            Ok(0)
        }
        "dump" => {
            process.on_dump(|| println!("the state of an operator"));
            println!("ready p{} w{index}", process.index());
            forever(worker)
        }
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

    /// Waits until what was said satisfies this.
    fn wait_until(&mut self, what: &str, is: impl Fn(&[String]) -> bool) {
        let until = Instant::now() + Duration::from_secs(50);
        while !is(&self.seen) {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("{what} does not happen:\n{}", self.seen.join("\n")),
            }
        }
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
    // The shell's own `kill`: not every system has a program of that name.
    let killed = Command::new("sh").args(["-c", &format!("kill {signal} {pid}")]).status();
    assert!(killed.unwrap().success());
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
fn a_dump_is_asked_for_by_a_signal() {
    for line in ["-w 2", "-n 2"] {
        let mut program = Program::start("dump", line);
        program.wait_for("ready p0 w0");
        program.wait_for(if line == "-w 2" { "ready p0 w1" } else { "ready p1 w1" });
        program.signal("-QUIT");
        program.wait_for("the state of an operator");
        program.signal("-TERM");
        let (status, said) = program.end();
        assert_eq!(status.code(), Some(0), "{line}: {said}");
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

/// The process number that `program` prints for process `index` in its run number `restart`.
fn pid_of(program: &mut Program, index: usize, restart: u32) -> u32 {
    let line = program.wait_for(&format!("pid p{index} r{restart} "));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn is_alive(pid: u32) -> bool {
    // A zombie whose new parent has not looked yet is as good as gone.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

fn wait_until_gone(pid: u32, limit: Duration) {
    let begin = Instant::now();
    while is_alive(pid) {
        assert!(begin.elapsed() < limit, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Addresses nobody listens at now.
fn free_hosts(count: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

#[test]
fn a_supervised_job_ends_with_its_processes() {
    for (line, workers) in [("-n 2 -w 1", 2), ("-n 3 -w 2 -z", 6)] {
        let (status, said) = Program::start("exchange", line).end();
        assert_eq!(status.code(), Some(0), "{line}: {said}");
        let results = results(&said);
        assert_eq!(results.len(), workers, "{line}: {said}");
        assert_eq!(results.iter().sum::<u64>(), 1000, "{line}: {said}");
    }
}

#[test]
fn a_killed_process_ends_the_others_and_the_job_starts_again() {
    let mut program = Program::start("forever", "-n 2 -v");
    let (zero, one) = (pid_of(&mut program, 0, 0), pid_of(&mut program, 1, 0));
    kill(one, "-KILL");
    wait_until_gone(zero, SOON);
    program.wait_for("restart 1 of the job");
    let again = pid_of(&mut program, 0, 1);
    assert_ne!(again, zero);
    pid_of(&mut program, 1, 1);
    program.signal("-TERM");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("process 1 was ended by signal 9"), "{said}");
}

#[test]
fn a_job_that_fails_at_once_is_given_up_with_its_code() {
    let (status, said) = Program::start("storage", "-n 2 --max-restarts 2").end();
    assert_eq!(status.code(), Some(74), "{said}");
    assert!(said.contains("giving up"), "{said}");
    assert!(said.contains("pid p0 r2") && !said.contains("pid p0 r3"), "{said}");
}

#[test]
fn a_failure_that_lasts_is_not_tried_again() {
    let (status, said) = Program::start("usage", "-n 2").end();
    assert_eq!(status.code(), Some(65), "{said}");
    assert!(said.contains("row 7 is bad") && !said.contains("restart 1"), "{said}");
}

#[test]
fn a_panic_in_one_process_ends_the_job() {
    let begin = Instant::now();
    let (status, said) = Program::start("panic", "-n 2 --max-restarts 0").end();
    assert_eq!(status.code(), Some(70), "{said}");
    assert!(said.contains("on purpose"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_signal_at_any_process_stops_the_job() {
    let mut program = Program::start("forever", "-n 2 -w 2");
    let one = pid_of(&mut program, 1, 0);
    program.wait_for("started p1 w3");
    program.wait_for("started p0 w1");
    kill(one, "-TERM");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("restart"), "{said}");
}

#[test]
fn a_second_signal_ends_a_supervised_job() {
    let mut program = Program::start("ignores stop", "-n 2");
    let (zero, one) = (pid_of(&mut program, 0, 0), pid_of(&mut program, 1, 0));
    program.signal("-TERM");
    program.wait_for("stopping");
    program.signal("-TERM");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(143), "{said}");
    wait_until_gone(zero, SOON);
    wait_until_gone(one, SOON);
}

#[test]
fn children_die_with_their_supervisor() {
    let mut program = Program::start("forever", "-n 2");
    let (zero, one) = (pid_of(&mut program, 0, 0), pid_of(&mut program, 1, 0));
    program.signal("-KILL");
    wait_until_gone(zero, SOON);
    wait_until_gone(one, SOON);
    program.end();
}

#[test]
fn process_0_knows_what_the_others_said_last() {
    let (status, said) = Program::start("snapshots", "-n 3").end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        said.contains(r#"snapshots=["0: bye from 0", "1: bye from 1", "2: bye from 2"]"#),
        "{said}"
    );
    let (status, said) = Program::start("snapshots", "-w 2").end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains(r#"snapshots=["0: bye from 0"]"#), "{said}");
}

#[test]
fn processes_find_each_other_by_address() {
    let hosts = free_hosts(2).join(",");
    let secret = |command: &mut Command| {
        command.env("TIDERACE_SECRET", "open sesame");
    };
    let line = |index| format!("-n 2 -w 2 -p {index} --hosts {hosts} -r");
    let zero = Program::start_with("exchange", &line(0), secret);
    let one = Program::start_with("exchange", &line(1), secret);
    let mut all = Vec::new();
    for program in [zero, one] {
        let (status, said) = program.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("all processes are connected"), "{said}");
        all.extend(results(&said));
    }
    assert_eq!((all.len(), all.iter().sum::<u64>()), (4, 1000));
}

#[test]
fn strangers_are_refused_and_hold_nobody_up() {
    let hosts = free_hosts(2);
    let line = |index| format!("-n 2 -p {index} --hosts {} --connect-timeout 60s", hosts.join(","));
    let secret = |secret: &'static str| {
        move |command: &mut Command| {
            command.env("TIDERACE_SECRET", secret);
        }
    };
    let mut zero = Program::start_with("exchange", &line(0), secret("open sesame"));
    let connect = || loop {
        match TcpStream::connect(&hosts[0]) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let _silent = connect();
    let mut page = connect();
    page.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    zero.wait_for("does not speak our protocol");
    drop(connect());
    zero.wait_for("closed the connection before a greeting");
    connect().write_all(&[0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    let wrong = Program::start_with("exchange", &line(1), secret("open barley"));
    zero.wait_for("another secret");
    let (status, said) = {
        let mut wrong = wrong;
        let _ = wrong.child.kill();
        wrong.end()
    };
    assert!(!status.success() && !said.contains("started"), "{said}");
    let one = Program::start_with("exchange", &line(1), secret("open sesame"));
    let mut all = Vec::new();
    for program in [zero, one] {
        let (status, said) = program.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("sesame"), "{said}");
        all.extend(results(&said));
    }
    assert_eq!(all.iter().sum::<u64>(), 1000);
}

#[test]
fn a_missing_peer_is_named() {
    let hosts = free_hosts(2);
    let line = format!("-n 2 -p 1 --hosts {} --connect-timeout 500ms", hosts.join(","));
    let (status, said) = Program::start("exchange", &line).end();
    assert_eq!(status.code(), Some(75), "{said}");
    assert!(said.contains(&format!("process 0 ({})", hosts[0])), "{said}");
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = format!("-n 2 -p 0 --hosts {address},{}", free_hosts(1)[0]);
    let (status, said) = Program::start("exchange", &line).end();
    assert_eq!(status.code(), Some(69), "{said}");
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
}

#[test]
fn a_silent_process_is_taken_for_lost() {
    let mut program = Program::start("forever", "-n 2 --max-restarts 0");
    let (zero, one) = (pid_of(&mut program, 0, 0), pid_of(&mut program, 1, 0));
    program.wait_for("started p0 w0");
    kill(one, "-STOP");
    wait_until_gone(zero, Duration::from_secs(40));
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(75), "{said}");
    assert!(said.contains("lost process 1"), "{said}");
    wait_until_gone(one, SOON);
}

#[test]
fn a_stop_while_peers_are_awaited_ends_well() {
    let hosts = free_hosts(2);
    let line = format!("-n 2 -p 0 --hosts {} --connect-timeout 60s -r -v", hosts.join(","));
    let mut program = Program::start("exchange", &line);
    while TcpStream::connect(&hosts[0]).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    program.wait_for("refused a connection");
    program.signal("-TERM");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("started"), "{said}");
}

#[test]
fn the_secret_of_a_supervised_job_is_not_to_be_seen_from_outside() {
    let mut program = Program::start("forever", "-n 2");
    let one = pid_of(&mut program, 1, 0);
    let read =
        |what: &str| String::from_utf8(std::fs::read(format!("/proc/{one}/{what}")).unwrap());
    let (arguments, environment) = (read("cmdline").unwrap(), read("environ").unwrap());
    assert_eq!(arguments.matches('\0').count(), 5, "{arguments}");
    // The scripts' cache folder may be set for the tests; all else must be the supervisor's.
    let ours = |entry: &&str| entry.contains("TIDERACE_") && !entry.starts_with("TIDERACE_CACHE=");
    let given: Vec<_> = environment.split('\0').filter(ours).collect();
    let [given] = given[..] else { panic!("{given:?}") };
    let numbers = given.strip_prefix("TIDERACE_SUPERVISED=").unwrap();
    assert!(numbers.split(':').all(|number| number.parse::<u32>().is_ok()), "{given}");
    program.signal("-TERM");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
fn a_process_may_start_anew_while_others_are_awaited() {
    let hosts = free_hosts(3).join(",");
    let start = |index: usize| {
        let line = format!("-n 3 -p {index} --hosts {hosts} --connect-timeout 60s -r");
        Program::start("exchange", &line)
    };
    let replace = |mut program: Program, index| {
        program.child.kill().unwrap();
        program.child.wait().unwrap();
        start(index)
    };
    let (mut zero, mut one) = (start(0), start(1));
    for role in ["(Data)", "(Control)"] {
        zero.wait_for(&format!("process 1 has connected {role}"));
        one.wait_for(&format!("connected to process 0 {role}"));
    }
    let mut zero = replace(zero, 0);
    one.wait_for("process 0 has gone again");
    for role in ["(Data)", "(Control)"] {
        zero.wait_for(&format!("process 1 has connected {role}"));
    }
    let one = replace(one, 1);
    // On a busy machine the new one may be there before the old one was missed.
    zero.wait_until("the new process 1", |said| {
        let count = |words| said.iter().filter(|line| line.contains(words)).count();
        count("process 1 has gone again") > 0 || count("process 1 has connected") >= 4
    });
    let mut all = Vec::new();
    for program in [zero, one, start(2)] {
        let (status, said) = program.end();
        assert_eq!(status.code(), Some(0), "{said}");
        all.extend(results(&said));
    }
    assert_eq!((all.len(), all.iter().sum::<u64>()), (3, 1000));
}
