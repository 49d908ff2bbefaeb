//! What users write and what they are told: exit codes, messages, the shipped files, the reference.
#![allow(clippy::unwrap_used, reason = "in these helpers, what fails is the test")]

mod reference;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use skidder::config::Config;

/// The binary with nothing in its environment, in a folder of its own.
fn skidder(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skidder"));
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

/// A folder with this text as `skidder.yaml`.
fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("skidder.yaml"), text).unwrap();
    folder
}

fn check(text: &str) -> Output {
    let folder = folder_with(text);
    skidder(folder.path()).args(["check", "--config", "skidder.yaml"]).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Each with exit code 2, nothing on standard output, and exactly this line on standard error.
#[test]
fn broken_configurations_say_what_and_where() {
    let es = |rest: &str| format!("output:\n  elasticsearch:\n    {rest}\n");
    let stdout = |rest: &str| format!("output: stdout\n{rest}\n");
    let cases = [
        (
            String::new(),
            "skidder.yaml: output: is missing; add the line `output: { elasticsearch: { urls: [\"https://elasticsearch:9200\"] } }`",
        ),
        (
            "data_dir: /x\noutput:\n".into(),
            "skidder.yaml: output: is missing; add the line `output: { elasticsearch: { urls: [\"https://elasticsearch:9200\"] } }`",
        ),
        ("outptu:\n  stdout:\n".into(), "skidder.yaml:1: outptu: no such key; did you mean `output`?"),
        ("- output\n".into(), "skidder.yaml:1: must be keys with values, and is a list"),
        (
            stdout("files:\n  - inclde: [\"/x\"]"),
            "skidder.yaml:3: files[0].inclde: no such key; did you mean `include`?",
        ),
        (
            stdout("max_bufered_bytes:"),
            "skidder.yaml:2: max_bufered_bytes: no such key; did you mean `max_buffered_bytes`?",
        ),
        (
            stdout("held_files: { size: 1GiB }"),
            "skidder.yaml:2: held_files.size: no such key; write one of max_bytes",
        ),
        (
            stdout("kubernetes:\n  kubelet:\n    refresh: often"),
            "skidder.yaml:4: kubernetes.kubelet.refresh: `often` is not a duration; write such as 250ms, 10s or 5m",
        ),
        (
            stdout("max_buffered_bytes: 32 MB!"),
            "skidder.yaml:2: max_buffered_bytes: `32 MB!` is not a size; write such as 512KiB or 5MiB",
        ),
        (
            stdout("multiline:\n  languages:\n    - java\n    - pyton"),
            "skidder.yaml:5: multiline.languages[1]: `pyton` is not a language; did you mean `python`?",
        ),
        (
            stdout("multiline:\n  patterns:\n    - name: x\n      start: '^[BEGIN'"),
            "skidder.yaml:5: multiline.patterns[0].start: `^[BEGIN` is not a regular expression (character 2: unclosed character class); see docs.rs/regex",
        ),
        (
            stdout("multiline:\n  patterns:\n    - name: x"),
            "skidder.yaml:4: multiline.patterns[0]: the pattern `x` joins nothing; add start or continue (only `dated` is built in)",
        ),
        (
            stdout("files:\n  - include: ['/var/log/{a']"),
            "skidder.yaml:3: files[0].include[0]: `/var/log/{a` is not a glob (unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?))",
        ),
        (
            stdout("files:\n  - include: ['/var/{log,lib/x}/*.log']"),
            "skidder.yaml:3: files[0].include[0]: `/var/{log,lib/x}/*.log` has brackets with a / between them; write several globs",
        ),
        (
            stdout("kubernetes: { kubelet: { url: 'node:10250' } }"),
            "skidder.yaml:2: kubernetes.kubelet.url: `node:10250` is neither a URL nor a file; write such as https://node:10250",
        ),
        (stdout("data_dir: ''"), "skidder.yaml:2: data_dir: is empty; write a folder"),
        (
            stdout("files:\n  - include: /var/log/app.log"),
            "skidder.yaml:3: files[0].include: must be a list; write [\"/var/log/app.log\"]",
        ),
        (
            stdout("files:\n  - format: cri\n    time: '%Y-%m-%d %H:%M:%S'"),
            "skidder.yaml:4: files[0].time: is for plain files, and this block's format brings its own time; remove it",
        ),
        (
            stdout("files:\n  - time: '%H:%M:%S'"),
            "skidder.yaml:3: files[0].time: `%H:%M:%S` gives no day; write such as %Y-%m-%d %H:%M:%S%.f",
        ),
        (
            stdout("events:\n  json: flat"),
            "skidder.yaml:3: events.json: `flat` is not known; write one of nested, merge, off",
        ),
        (
            stdout("events:\n  drop:\n    - {}"),
            "skidder.yaml:4: events.drop[0]: says nothing and would drop every event; name a namespace, pod, container, labels or message",
        ),
        (
            stdout("events:\n  rate_limit: 5MiB"),
            "skidder.yaml:3: events.rate_limit: `5MiB` is not a rate; write such as 5MiB/s, or \"\" for none",
        ),
        (
            stdout("max_buffered_bytes: 512KiB"),
            "skidder.yaml:2: max_buffered_bytes: 512KiB is less than files[0].max_line_bytes (1MiB); write more here, or less there",
        ),
        (
            stdout("log: { level: info }\nhttp:\n  listen: localhost:9605"),
            "skidder.yaml:4: http.listen: `localhost:9605` is not an address with a port; write such as [::]:9605 or 127.0.0.1:9605",
        ),
        (
            stdout("log: { level: info }\n\nlog: { level: debug }"),
            "skidder.yaml:4: log: is given twice, first on line 2; keep one",
        ),
        (
            stdout("node_name: ${NODE_NAME}"),
            "skidder.yaml:2: node_name: the environment has no NODE_NAME; set it, or write a default: ${NODE_NAME:-…}",
        ),
        (
            // The lines before hold a value over several lines.
            stdout("data_dir: >-\n  /var/\n  x\nevents:\n  add_fields: { a: 'x ${A:-y}', b: '${B C}' }"),
            "skidder.yaml:6: events.add_fields.b: has `${…}` that is not `${NAME}` or `${NAME:-default}`; write `$${` for the two characters themselves",
        ),
        (
            "output:\n  stdout: {}\n  elasticsearch: {}\n".into(),
            "skidder.yaml:3: output: `stdout` and `elasticsearch` exclude each other; keep one",
        ),
        (
            "output:\n  elasticserch:\n    urls: []\n".into(),
            "skidder.yaml:2: output.elasticserch: `elasticserch` is not known; did you mean `elasticsearch`?",
        ),
        (
            es("urls: ['es:9200']"),
            "skidder.yaml:3: output.elasticsearch.urls[0]: `es:9200` is not a URL (it is neither http nor https); write such as https://host:9200",
        ),
        (
            es("urls: ['https://u:p4ss@es:9200']"),
            "skidder.yaml:3: output.elasticsearch.urls[0]: a user or password may not stand in the URL; write them as keys of their own",
        ),
        (
            es("data_stream: { dataset: My-App }"),
            "skidder.yaml:3: output.elasticsearch.data_stream.dataset: `My-App` may not hold `-`; write `My_App`",
        ),
        (
            es("index: 'Logs-%Y.%m.%d'"),
            "skidder.yaml:3: output.elasticsearch.index: `Logs-%Y.%m.%d` makes no index name: `Logs-2026.11.22` may not hold capitals; write `logs-2026.11.22`",
        ),
        (
            es("index: 'logs-{pod}'"),
            "skidder.yaml:3: output.elasticsearch.index: `{pod}` is not known; write {namespace} or {labels.<name>}",
        ),
        (
            es("index: logs\n    data_stream: { dataset: x }"),
            "skidder.yaml:2: output.elasticsearch: index and data_stream exclude each other; keep one",
        ),
        (
            es("api_key: s3cr3t\n    username: me\n    password: s3cr3t"),
            "skidder.yaml:2: output.elasticsearch: an API key and a user exclude each other; keep one",
        ),
        (es("in_flight: 0"), "skidder.yaml:3: output.elasticsearch.in_flight: must be at least 1"),
        (
            es("api_key_file: /nowhere/api-key"),
            "skidder.yaml:3: output.elasticsearch.api_key_file: cannot read /nowhere/api-key (no such file or directory); put the file there, or let this user read it",
        ),
        (
            es("tls: { cert_file: /c.pem }"),
            "skidder.yaml:3: output.elasticsearch.tls: cert_file is of no use without its key; add key_file",
        ),
        (
            "output: [stdout\nlog: {}\n".into(),
            "skidder.yaml:2: this is not YAML: illegal placement of ':' indicator",
        ),
    ];
    let mut wrong = Vec::new();
    for (yaml, line) in &cases {
        let output = check(yaml);
        let told = text(&output.stderr);
        if told != format!("skidder: {line}\n")
            || output.status.code() != Some(2)
            || !output.stdout.is_empty()
        {
            wrong.push(format!("{yaml}\nexpected: skidder: {line}\nactually: {told}({})", output.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_missing_file_and_wrong_usage_end_with_two() {
    let folder = folder_with("output: stdout");
    for (arguments, line) in [
        (
            &["check", "--config", "nowhere.yaml"][..],
            "skidder: nowhere.yaml: cannot read the configuration (no such file or directory); name the file with --config or $SKIDDER_CONFIG\n",
        ),
        (&["check", "--everything"], "skidder: unexpected argument '--everything' found; see --help\n"),
        (
            &["cheque"],
            "skidder: unrecognized subcommand 'cheque'; a similar subcommand exists: 'check'; see --help\n",
        ),
    ] {
        let output = skidder(folder.path()).args(arguments).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), line));
    }
    let output = skidder(folder.path())
        .args(["check", "--config", "skidder.yaml"])
        .env("SKIDDER_LOG", "loud")
        .output();
    let output = output.unwrap();
    let line = "skidder: $SKIDDER_LOG: `loud` is not known; write one of error, warn, info, debug, trace\n";
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), line));
}

#[test]
fn check_prints_what_will_be_used_and_its_output_is_a_configuration() {
    let folder = folder_with("output: { elasticsearch: { api_key: \"${KEY}\", urls: ['https://es:9200'] } }");
    let run = |arguments: &[&str]| {
        let mut command = skidder(folder.path());
        command.args(arguments).env("KEY", "s3cr3t").env("NODE_NAME", "node-1").env("NODE_IP", "fd00::1");
        // By the environment's name of it, as the DaemonSet does.
        let output = command.env("SKIDDER_CONFIG", "skidder.yaml").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(text(&output.stderr), "");
        text(&output.stdout).to_owned()
    };
    let shown = run(&["check"]);
    assert!(!shown.contains("s3cr3t"));
    for line in [
        "# reads /var/log/containers/*.log from the beginning",
        "# names the node node-1, asks the kubelet at https://[fd00::1]:10250 about pods",
        "# ships to https://es:9200, data stream logs-kubernetes.container_logs-default, with the API key in the configuration",
        "node_name: node-1",
        "    api_key: \"***\"",
        "  timeout: 25s",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
    fs::write(folder.path().join("shown.yaml"), &shown).unwrap();
    let again = run(&["check", "--config", "shown.yaml"]);
    assert_eq!(again.lines().skip(1).collect::<Vec<_>>(), shown.lines().skip(1).collect::<Vec<_>>());

    let json: Value = serde_json::from_str(&run(&["check", "--json"])).unwrap();
    assert_eq!(json["valid"], true);
    assert_eq!(json["config"]["output"]["elasticsearch"]["api_key"], "***");
    assert!(shown.starts_with(&format!(
        "# skidder.yaml is valid; configuration {}\n",
        json["hash"].as_str().unwrap()
    )));
}

#[test]
fn check_json_tells_what_is_wrong_too() {
    let folder = folder_with("output: stdout\nlogs: {}");
    let output =
        skidder(folder.path()).args(["check", "--json", "--config", "skidder.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message = "no such key; did you mean `log`?";
    let expected = serde_json::json!({"valid": false, "file": "skidder.yaml", "line": 2, "key": "logs", "message": message});
    assert_eq!(json, expected);
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let folder = folder_with("output: stdout");
    for arguments in [&["check", "--config", "skidder.yaml"][..], &["completions", "bash"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = skidder(folder.path()).args(arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn each_command_teaches() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["--help"][..], ["Examples:", "SKIDDER_CONFIG", "Exit codes:"]),
        (&["run", "--help"], ["Examples:", "SIGTERM", "Exit codes:"]),
        (&["logs", "--help"], ["Examples:", "--kubelet", "Exit codes:"]),
        (&["check", "--help"], ["Examples:", "--online", "Exit codes:"]),
        (&["test", "--help"], ["Examples:", "tests:", "Exit codes:"]),
        (&["completions", "--help"], ["Examples:", "zsh", "fish"]),
    ] {
        let output = skidder(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success());
        for word in words {
            assert!(text(&output.stdout).contains(word), "{word} is not in the help of {arguments:?}");
        }
    }
    let version = skidder(folder.path()).arg("--version").output().unwrap();
    assert!(text(&version.stdout).starts_with(concat!("skidder ", env!("CARGO_PKG_VERSION"))));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = skidder(folder.path()).args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        let script = text(&output.stdout);
        let commands = ["run", "logs", "check", "setup", "status", "dead-letters", "test", "completions"];
        let options = ["languages", "online", "once", "print", "url", "color", "replay"];
        let missing: Vec<_> =
            commands.iter().chain(&options).filter(|word| !script.contains(**word)).collect();
        assert!(missing.is_empty(), "{shell} does not complete {missing:?}");
    }
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An environment in which every name has a value that fits where the shipped files and the docs use it.
fn any_name(name: &str) -> Option<String> {
    let value = match name {
        "SKIDDER_LOG" | "SKIDDER_CONFIG" => return None,
        "NODE_IP" => "10.0.0.7",
        name if name.ends_with("_URL") => "https://elasticsearch.example:9200",
        _ => "some",
    };
    Some(value.into())
}

fn nothing(_name: &str) -> Option<String> {
    None
}

#[test]
fn every_line_of_a_file_is_named_truly() {
    let text = fs::read_to_string(project().join("config/skidder.yaml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut tried = 0;
    for (at, line) in lines.iter().enumerate() {
        let Some((key, rest)) = line.split_once(':').filter(|(key, _)| !key.contains('#')) else { continue };
        if key == "output" {
            continue;
        }
        let mut broken = lines.clone();
        let misspelt = format!("{key}_zz:{rest}");
        broken[at] = &misspelt;
        let error = Config::parse(&broken.join("\n"), "skidder.yaml", &nothing).unwrap_err();
        assert_eq!(error.line, Some(at + 1), "{error}");
        assert!(error.key.ends_with("_zz"), "{error}");
        tried += 1;
    }
    assert!(tried > 70, "{tried}");
}

#[test]
fn whatever_is_written_ends_in_a_configuration_or_in_one_line() {
    let seed = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SKIDDER_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let text = fs::read_to_string(project().join("config/skidder.yaml")).unwrap();
    let text: Vec<char> = text
        .lines()
        .map(|line| line.split(" #").next().unwrap_or("").to_owned() + "\n")
        .collect::<String>()
        .chars()
        .collect();
    for _ in 0..400 {
        let mut broken = text.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..broken.len());
            let odd = [
                '\n', '\t', ' ', '"', '\'', '{', '}', '[', ']', ':', ',', '-', '#', '&', '*', '!', '|', '>',
                '$', '~', '0', 'é', '\0',
            ];
            match random.u8(..3) {
                0 => broken[at] = odd[random.usize(..odd.len())],
                1 => broken.insert(at, odd[random.usize(..odd.len())]),
                _ => drop(broken.remove(at)),
            }
        }
        let broken: String = broken.into_iter().collect();
        if let Err(error) = Config::parse(&broken, "broken.yaml", &any_name) {
            assert!(!error.to_string().contains('\n'), "{error:?}\n{broken}");
            assert!(
                error.line.is_none_or(|line| (1..=broken.lines().count() + 1).contains(&line)),
                "{error}\n{broken}"
            );
        }
    }
}
