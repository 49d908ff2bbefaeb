//! `skidder logs` that goes on: after a file, after standard input, until its reader goes away.

use super::*;

/// A `skidder logs` that goes on, and its lines as they come.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = skidder(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// The next line, waited for.
    fn line(&self) -> String {
        self.lines.recv_timeout(wait::LIMIT).unwrap()
    }

    fn stdin(&self) -> &ChildStdin {
        self.child.stdin.as_ref().unwrap()
    }

    fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Waits for its end; it must end well, with nothing left to read, and have said nothing.
    fn end(self) {
        let output = self.child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(output.status.success(), "{}", output.status);
        assert_eq!(self.lines.try_iter().collect::<Vec<_>>(), Vec::<String>::new());
    }
}

#[test]
fn follows_through_a_rotation_and_finds_new_pods() {
    let pod = Pod::new();
    let live = pod.file("0.log");
    append(&pod.file("0.log.20261122-095900"), &line(0, "rotated before"));
    append(&live, &line(1, "one"));
    let running = Running::start(&["-f", pod.root(), "-o=raw", "--pod=web-*"]);
    assert_eq!(running.line(), "rotated before");
    assert_eq!(running.line(), "one");
    append(&live, &line(2, "two"));
    assert_eq!(running.line(), "two");
    // The kubelet renames, the runtime writes on until it has opened the next one.
    let rotated = pod.file("0.log.20261122-100003");
    fs::rename(&live, &rotated).unwrap();
    append(&rotated, &line(3, "three"));
    append(&live, &line(4, "four"));
    assert_eq!(running.line(), "three");
    assert_eq!(running.line(), "four");
    fs::write(pod.file("0.log.20261122-100003.gz"), gzip(&fs::read_to_string(&rotated).unwrap())).unwrap();
    fs::remove_file(&rotated).unwrap();
    for (name, message) in [("db-1_7", "not asked for"), ("web-2_8", "five")] {
        let folder = pod.root.join(format!("shop_{name}d0f1c22-9a1b-4c5d-8e7f-001122334455/web"));
        fs::create_dir_all(&folder).unwrap();
        append(&folder.join("0.log"), &line(5, message));
    }
    assert_eq!(running.line(), "five");
    append(&live, &line(6, "six"));
    assert_eq!(running.line(), "six");
    running.interrupt();
    running.end();
}

#[test]
fn follows_after_the_last_few_and_a_trace_in_time() {
    let pod = Pod::new();
    let live = pod.file("0.log");
    (0..100).for_each(|n| append(&live, &line(n, &n.to_string())));
    let running = Running::start(&["-f", live.to_str().unwrap(), "-o=raw", "--tail=2"]);
    assert_eq!([running.line(), running.line()], ["98", "99"]);
    append(&live, &(line(200, "java.lang.Error: x") + &line(200, "\tat a.B.c(D.java:1)")));
    // Nothing comes after it: the clock ends it.
    assert_eq!([running.line(), running.line()], ["java.lang.Error: x", "\tat a.B.c(D.java:1)"]);
    running.interrupt();
    running.end();
}

#[test]
fn standard_input_is_shown_as_it_comes() {
    let mut running = Running::start(&["-o=raw"]);
    running.stdin().write_all(b"one\ntwo").unwrap();
    assert_eq!(running.line(), "one");
    running.stdin().write_all(b" more\njava.lang.Error: x\n\tat a.B.c(D.java:1)\n").unwrap();
    assert_eq!(
        [running.line(), running.line(), running.line()],
        ["two more", "java.lang.Error: x", "\tat a.B.c(D.java:1)"]
    );
    running.stdin().write_all(b"unfinished").unwrap();
    running.end_input();
    assert_eq!(running.line(), "unfinished");
    running.end();
}

#[test]
fn standard_input_is_the_same_as_the_file() {
    let path = node("pods/shop_api-5d8f7c9b6d-7qzlp_706e574d-ecc5-41f5-9b4b-f8ca631933af/api/0.log");
    for arguments in [&["-o=raw"][..], &["-o=raw", "-"], &["-o=raw", "--tail=3"]] {
        let output = skidder(arguments).stdin(File::open(&path).unwrap()).output().unwrap();
        let mut from_file: Vec<_> = arguments.iter().copied().filter(|one| *one != "-").collect();
        from_file.push(&path);
        assert!(output.status.success() && output.stderr.is_empty());
        assert_eq!(String::from_utf8_lossy(&output.stdout), printed(&from_file), "{arguments:?}");
    }
}

#[test]
fn documents_of_standard_input_have_the_time_of_reading() {
    let mut child = skidder(&["-o=json"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let document = documents(std::str::from_utf8(&output.stdout).unwrap()).remove(0);
    assert_eq!(document["message"], "hello");
    assert!(document.get("stream").is_none() && document.get("kubernetes").is_none(), "{document}");
    let read: jiff::Timestamp = document["@timestamp"].as_str().unwrap().parse().unwrap();
    assert!(read <= jiff::Timestamp::now(), "{read}");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.log", "b.log"].map(|name| folder.path().join(name));
    let text: String = (0..200_000).map(|n| line(n / 100, &format!("line {n}"))).collect();
    paths.iter().for_each(|path| fs::write(path, &text).unwrap());
    let names: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    for arguments in [&names[..1], &names[..]] {
        for format in ["-o=pretty", "-o=json", "-o=raw"] {
            let mut child = skidder(arguments).arg(format).spawn().unwrap();
            let mut first = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
            assert!(!first.is_empty());
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{arguments:?} {format}: {}", output.status);
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?} {format}");
        }
    }
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_ends_it_though_nothing_more_is_written() {
    let pod = Pod::new();
    append(&pod.file("0.log"), &line(0, "one"));
    let mut child = skidder(&["-f", "-o", "raw", pod.root()]).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "one\n");
    let ended = wait::until(async || child.try_wait().unwrap()).await;
    if ended.is_none() {
        child.kill().unwrap();
    }
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
}

#[test]
fn standard_input_has_no_file() {
    let mut child = skidder(&["-o", "json"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let logs: Vec<Value> = documents(&String::from_utf8(output.stdout).unwrap())
        .iter()
        .map(|document| document["log"].clone())
        .collect();
    assert_eq!(logs, [serde_json::json!({ "offset": 0 }), serde_json::json!({ "offset": 4 })]);
}
