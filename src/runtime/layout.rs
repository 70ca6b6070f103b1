//! What the launch flags mean together: which peers there are, and what this process is to them.

use std::net::IpAddr;
use std::path::Path;

use super::args::LaunchArgs;
use super::secret::Secret;
use crate::error::{Error, Kind, Result};

/// No job has more workers than this in total; a larger number is a slip of the finger.
pub const MOST_WORKERS: usize = 4096;
/// Where processes listen when `-p` is given without addresses, as in timely: 2101, 2102, …
const FIRST_PORT: usize = 2101;

/// The place of a process in its job, or the order to start all of it.
#[derive(Debug)]
pub enum Layout {
    /// One process with some worker threads.
    Alone,
    /// Start this many processes here and look after them.
    Supervise {
        /// How many processes.
        processes: usize,
    },
    /// One of several processes that find each other by address.
    Peer {
        /// Which one.
        index: usize,
        /// The addresses of all of them.
        hosts: Vec<String>,
        /// What they prove to each other.
        secret: Secret,
    },
}

impl Layout {
    /// Checks the flags against each other. Reads the host file and the secret.
    pub fn of(args: &LaunchArgs) -> Result<Layout> {
        if args.workers == 0 {
            return Err(usage("--workers 0: a process has at least one worker"));
        }
        if args.processes == Some(0) {
            return Err(usage("--processes 0: a job has at least one process"));
        }
        let hosts = hosts(args)?;
        let processes = match (args.processes, &hosts) {
            (Some(n), _) => n,
            (None, Some((_, hosts))) => hosts.len(),
            (None, None) => 1,
        };
        let total = args.workers.saturating_mul(processes);
        if total > MOST_WORKERS {
            return Err(usage(format!(
                "--workers {} times --processes {processes} is {total} workers; at most {MOST_WORKERS} are possible",
                args.workers
            )));
        }
        if let Some(index) = args.process.filter(|&index| index >= processes) {
            return Err(usage(format!(
                "--process {index} is outside --processes {processes}: it counts from 0 to {}",
                processes - 1
            )));
        }
        match (args.process, hosts) {
            (None, Some((flag, _))) if processes > 1 => {
                Err(usage(format!("{flag} needs --process: which of the hosts is this one?")))
            }
            (_, _) if processes == 1 => Ok(Layout::Alone),
            (None, _) => Ok(Layout::Supervise { processes }),
            (Some(index), hosts) => {
                let hosts = match hosts {
                    Some((flag, mut hosts)) => {
                        if hosts.len() < processes {
                            return Err(usage(format!(
                                "{flag} has {} of the {processes} addresses that --processes {processes} needs",
                                hosts.len()
                            )));
                        }
                        hosts.truncate(processes);
                        hosts
                    }
                    None => {
                        (0..processes).map(|i| format!("127.0.0.1:{}", FIRST_PORT + i)).collect()
                    }
                };
                let secret = Secret::of(args.secret_file.as_deref())?;
                let far = hosts.iter().find(|host| !is_loopback(host));
                if let (Some(host), true) = (far, secret.is_empty()) {
                    return Err(Error::new(
                        Kind::Config,
                        format!("{host} is not on this machine, and there is no secret to tell peers from strangers"),
                    )
                    .hint("give every process the same --secret-file FILE, or TIDERACE_SECRET"));
                }
                Ok(Layout::Peer { index, hosts, secret })
            }
        }
    }
}

/// The addresses and the flag they came from.
fn hosts(args: &LaunchArgs) -> Result<Option<(String, Vec<String>)>> {
    if let Some(file) = &args.hostfile {
        let hosts = read_hostfile(file, args.processes)?;
        return Ok(Some((format!("--hostfile {}", file.display()), hosts)));
    }
    if args.hosts.is_empty() {
        return Ok(None);
    }
    for host in &args.hosts {
        check_address(host).map_err(|why| usage(format!("--hosts: {why}")))?;
    }
    Ok(Some(("--hosts".into(), args.hosts.clone())))
}

/// One address a line; empty lines and those that start with `#` do not count.
fn read_hostfile(file: &Path, wanted: Option<usize>) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).map_err(|cause| {
        Error::new(Kind::Config, format!("--hostfile {}: {cause}", file.display())).caused_by(cause)
    })?;
    let mut hosts = Vec::new();
    let mut last = 0;
    for (number, line) in text.lines().enumerate() {
        last = number + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        check_address(line)
            .map_err(|why| Error::new(Kind::Config, format!("{}:{last}: {why}", file.display())))?;
        hosts.push(line.to_string());
    }
    let wanted = wanted.unwrap_or(1);
    if hosts.len() < wanted {
        return Err(Error::new(
            Kind::Config,
            format!(
                "{}:{last}: the file ends after {} addresses, and --processes {wanted} needs {wanted}",
                file.display(),
                hosts.len()
            ),
        ));
    }
    Ok(hosts)
}

fn check_address(address: &str) -> std::result::Result<(), String> {
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| format!("`{address}` has no port; write host:port"))?;
    match port.parse::<u16>() {
        Ok(port) if port > 0 && !host.is_empty() => Ok(()),
        _ => Err(format!("`{address}` is not host:port with a port from 1 to 65535")),
    }
}

/// Whether a host:port can only be reached from this machine, judged by its text alone.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn usage(message: impl Into<String>) -> Error {
    Error::new(Kind::Usage, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn layout(line: &str) -> Result<Layout> {
        let line = format!("prog {line}");
        Layout::of(&LaunchArgs::parse_program(line.split_whitespace())?.0)
    }

    #[test]
    fn the_three_layouts() {
        assert!(matches!(layout("-w 3").unwrap(), Layout::Alone));
        assert!(matches!(layout("-n 1 -p 0").unwrap(), Layout::Alone));
        assert!(matches!(layout("-n 3").unwrap(), Layout::Supervise { processes: 3 }));
        let Layout::Peer { index, hosts, .. } = layout("-n 2 -p 1").unwrap() else { panic!() };
        assert_eq!(
            (index, hosts),
            (1, vec!["127.0.0.1:2101".into(), "127.0.0.1:2102".to_string()])
        );
        let Layout::Peer { hosts, .. } = layout("-p 0 --hosts localhost:1,[::1]:2").unwrap() else {
            panic!()
        };
        assert_eq!(hosts.len(), 2);
    }

    #[test]
    fn mistakes_name_the_flag_and_the_value() {
        for (line, kind, words) in [
            ("-w 0", Kind::Usage, "--workers 0"),
            ("-n 0", Kind::Usage, "--processes 0"),
            ("-n 2 -p 2", Kind::Usage, "--process 2 is outside --processes 2"),
            ("-p 1", Kind::Usage, "--process 1 is outside --processes 1"),
            ("-w 64 -n 65", Kind::Usage, "4160 workers"),
            ("--hosts localhost:1,localhost:2", Kind::Usage, "needs --process"),
            ("-n 3 -p 0 --hosts localhost:1,localhost:2", Kind::Usage, "2 of the 3"),
            ("-p 0 --hosts localhost:1,b", Kind::Usage, "`b` has no port"),
            ("-p 0 --hosts localhost:1,b:x", Kind::Usage, "`b:x`"),
            ("-p 0 -h /does/not/exist", Kind::Config, "/does/not/exist"),
        ] {
            let error = layout(line).unwrap_err();
            assert_eq!(error.kind(), kind, "{line}: {error}");
            assert!(error.to_string().contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn strangers_are_not_trusted_without_a_secret() {
        if std::env::var_os("TIDERACE_SECRET").is_some() {
            return;
        }
        let error = layout("-p 0 --hosts 10.0.0.1:2101,10.0.0.2:2101").unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains("10.0.0.1:2101"), "{error}");
        assert!(error.hint_text().unwrap().contains("--secret-file"));
    }

    #[test]
    fn host_files_are_checked_by_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "# the job\nlocalhost:2101\n\nlocalhost:2102").unwrap();
        let name = file.path().display().to_string();
        let Layout::Peer { hosts, .. } = layout(&format!("-n 2 -p 1 -h {name}")).unwrap() else {
            panic!()
        };
        assert_eq!(hosts, ["localhost:2101", "localhost:2102"]);
        let short = layout(&format!("-n 3 -p 1 -h {name}")).unwrap_err();
        assert!(short.to_string().contains(&format!("{name}:4")), "{short}");
        writeln!(file, "nonsense").unwrap();
        let wrong = layout(&format!("-n 2 -p 1 -h {name}")).unwrap_err();
        assert!(wrong.to_string().contains(&format!("{name}:5")), "{wrong}");
    }
}
