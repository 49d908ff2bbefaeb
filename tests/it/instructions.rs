//! The work per event, watched: instructions of the built binary from a log's bytes to the bodies of bulk requests,
//! as valgrind counts them. They do not wobble with the machine's load, so that a bound can be narrow.

use std::fs;
use std::process::Command;

use crate::support::node::Node;

/// What an event may take: a fifth more than when this was last written down, in a build without optimization, as
/// tests have. It is of the same work as that of a release, if many times more of it. After a change that is worth it,
/// what the failure prints stands here.
const MOST: u64 = 97_100;

/// A round has four: a line of an access log, one of JSON, a trace of four lines and a line that ends it.
const EVENTS: usize = 500;

/// Instructions until all is printed that so many rounds of events say.
fn instructions(rounds: usize) -> u64 {
    let node = Node::new();
    let mut container = node.pod("shop", "web-1", "web");
    for number in 0..rounds {
        container
            .out(&format!("10.0.0.7 - - \"GET /api/v1/orders/{number} HTTP/1.1\" 200 5120 \"-\" \"curl/8\""));
        container.out(&format!(
            "{{\"level\":\"info\",\"msg\":\"order placed\",\"order\":{number},\"paid\":true}}"
        ));
        container.err("java.lang.IllegalStateException: order cannot be booked");
        for frame in 0..3 {
            container.err(&format!("\tat com.acme.shop.OrderService.place(OrderService.java:{frame})"));
        }
        container.err("the next order please");
    }
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("skidder.yaml");
    // One language: what building the automata takes is no event's, and slow under valgrind.
    let text = format!(
        "node_name: node-1\ndata_dir: {}\nhttp: {{ listen: \"127.0.0.1:0\" }}\nlog: {{ level: error }}\n\
         files: [{{ include: [\"{}/pods/*/*/*.log\"] }}]\nmultiline: {{ languages: [java] }}\n\
         kubernetes: {{ kubelet: {{ enabled: false }} }}\noutput: {{ stdout: {{ format: bulk }} }}\n",
        folder.path().join("data").display(),
        node.path().display()
    );
    fs::write(&configuration, text).unwrap();
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    valgrind.args([env!("CARGO_BIN_EXE_skidder"), "run", "--once", "--config"]).arg(&configuration);
    let output = valgrind.output().expect("valgrind counts; Debian: apt-get install valgrind");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let printed = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(printed, 2 * 4 * rounds, "an action line and a document for each event");
    let counted = said.lines().find_map(|line| line.split_once("I   refs:").or(line.split_once("I refs:")));
    let (_, count) = counted.expect("valgrind's count");
    count.trim().replace(',', "").parse().expect("a number")
}

#[test]
fn an_event_takes_no_more_instructions_than_it_did() {
    let rounds = EVENTS / 4;
    // What the start takes is in both.
    let (few, many) = (instructions(rounds), instructions(5 * rounds));
    let each = (many - few) / (4 * EVENTS as u64);
    println!("{each} instructions per event");
    assert!(each <= MOST, "{each} instructions per event, at most {MOST} are allowed");
    assert!(
        each > MOST / 3,
        "{each} instructions per event: far fewer than {MOST}; write the new bound down"
    );
}
