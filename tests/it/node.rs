//! The fixture of a node does as a real one did; see its files and the recorded ones.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use flate2::read::MultiGzDecoder;
use skidder::event::Stream;

use crate::support::node::Node;

#[test]
fn the_kubelet_rotates_in_one_pass() {
    let node = Node::new();
    let mut web = node.pod("shop", "web-1", "web");
    for generation in 0..5 {
        web.out(&format!("generation {generation}"));
        web.rotate(4);
    }
    web.err("live");
    let files = web.files();
    assert_eq!(files.len(), 4, "{files:?}");
    assert_eq!(files[0], "0.log");
    assert!(files[1].ends_with(".gz") && files[2].ends_with(".gz"), "{files:?}");
    assert!(files[3].starts_with("0.log.20261122-10") && !files[3].ends_with(".gz"), "{files:?}");

    let folder = web.path().parent().expect("folder").to_owned();
    let mut oldest = String::new();
    let packed = fs::File::open(folder.join(&files[1])).expect("gzip");
    MultiGzDecoder::new(packed).read_to_string(&mut oldest).expect("gzip");
    assert!(oldest.ends_with(" stdout F generation 2\n"), "{oldest}");
    let live = fs::read_to_string(web.link_path()).expect("the link leads to the live file");
    assert!(live.ends_with(" stderr F live\n"), "{live}");
}

#[test]
fn writes_reach_the_renamed_file_until_the_reopen() {
    let node = Node::new();
    let mut web = node.pod("shop", "web-1", "web");
    let half = web.half(Stream::Stdout, "half a line");
    let rotated = web.rename();
    web.finish(half);
    web.part(Stream::Stdout, "first part, ");
    web.reopen();
    web.line(Stream::Stdout, "second part");
    let old = fs::read_to_string(rotated).expect("rotated file");
    assert!(old.contains("F half a line\n") && old.ends_with("P first part, \n"), "{old}");
    assert_eq!(fs::read_to_string(web.path()).expect("live file").lines().count(), 1);

    let rotated = web.rename();
    web.rename_back(&rotated);
    web.out("as if nothing had been");
    assert_eq!(fs::read_to_string(web.path()).expect("live file").lines().count(), 2);
}

#[test]
fn a_container_restarts_and_its_pod_is_deleted() {
    let node = Node::new();
    let mut boom = node.pod("batch", "boom-1", "boom");
    boom.out("0");
    boom.rotate(5);
    boom.restart();
    boom.out("1");
    assert_eq!(boom.files().len(), 3, "the former instance stays");
    boom.restart();
    assert_eq!(boom.files(), ["1.log", "2.log"]);
    assert_eq!(fs::read_dir(node.path().join("containers")).expect("links").count(), 2);
    boom.delete();
    assert_eq!(fs::read_dir(node.path().join("containers")).expect("links").count(), 0);
    assert_eq!(fs::read_dir(node.path().join("pods")).expect("pods").count(), 0);
}

#[test]
fn docker_rotates_by_number() {
    let node = Node::new();
    let mut web = node.docker("web");
    for generation in 0..4 {
        web.part(Stream::Stdout, "generation ");
        web.line(Stream::Stdout, &generation.to_string());
        web.rotate(3);
    }
    let folder = web.path().parent().expect("folder").to_owned();
    let mut names: Vec<_> = fs::read_dir(&folder)
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.retain(|name| name != "config.v2.json");
    names.sort();
    let log = format!("{}-json.log", web.id());
    assert_eq!(names, [log.clone(), format!("{log}.1.gz"), format!("{log}.2.gz")]);
    let mut older = String::new();
    let packed = fs::File::open(folder.join(format!("{log}.2.gz"))).expect("gzip");
    MultiGzDecoder::new(packed).read_to_string(&mut older).expect("gzip");
    assert!(
        older.starts_with(r#"{"log":"generation ","stream":"stdout","time":"2026-11-22T10:00:00"#),
        "{older}"
    );
    assert!(older.contains(r#""log":"2\n""#), "{older}");
    web.delete();
    assert!(!folder.exists());
}

#[test]
fn a_plain_file_is_truncated_or_renamed() {
    let node = Node::new();
    let mut app = node.plain("app.log");
    app.line("one");
    let inode = fs::metadata(app.path()).expect("live file").ino();
    app.copy_and_truncate();
    app.raw(b"two");
    assert_eq!(fs::read(app.path()).expect("live file"), b"two");
    assert_eq!(fs::metadata(app.path()).expect("live file").ino(), inode);
    app.rotate();
    assert_eq!(fs::metadata(app.path()).expect("live file").len(), 0);
    assert_eq!(fs::read(node.path().join("apps/app.log.1")).expect("rotated file"), b"two");
}

#[test]
fn the_clock_moves_when_it_is_told_to() {
    let node = Node::new();
    let mut web = node.pod("shop", "web-1", "web");
    web.out("a");
    node.pass(std::time::Duration::from_secs(3600));
    web.out("b");
    let log = fs::read_to_string(web.path()).expect("live file");
    let hours: Vec<_> = log.lines().map(|line| &line[..13]).collect();
    assert_eq!(hours, ["2026-11-22T10", "2026-11-22T11"]);
    assert!(log.starts_with("2026-11-22T10:00:00Z stdout F a\n"), "zeros are cut: {log}");
}
