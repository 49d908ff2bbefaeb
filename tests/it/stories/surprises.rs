//! What nobody reckons with on a node's disk.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use skidder::event::Stream;

use super::Counting;
use crate::support::agent::Agent;
use crate::support::fake::Fake;
use crate::support::node::Node;

/// A node whose pods and plain files are read, and what of it was stored.
struct Scene {
    node: Node,
    fake: Fake,
    agent: Agent,
}

impl Scene {
    async fn new() -> Self {
        let (node, fake) = (Node::new(), Fake::new());
        let (path, url) = (node.path().display(), fake.serve().await);
        let agent = Agent::new(&format!(
            "data_dir: ${{DATA}}\n\
             files: [{{ include: [\"{path}/containers/*.log\", \"{path}/apps/*.log\"] }}]\n\
             multiline: {{ timeout: 300ms }}\n\
             kubernetes: {{ kubelet: {{ enabled: false }} }}\n\
             output: {{ elasticsearch: {{ urls: [\"{url}\"], batch: {{ max_wait: 20ms }}, setup: false }} }}\n"
        ));
        Self { node, fake, agent }
    }

    fn messages(&self) -> Vec<String> {
        let text = |document: &serde_json::Value| document["message"].as_str().unwrap_or_default().to_owned();
        self.fake.model().stored.values().flat_map(|index| index.values()).map(text).collect()
    }

    async fn until_stored(&self, lines: &[&str]) {
        let stored = async || {
            let messages = self.messages();
            lines.iter().all(|line| messages.iter().any(|message| message == line))
        };
        self.agent.until(&format!("{lines:?}"), stored).await;
    }

    /// These are stored once, and nothing else.
    async fn assert_stored(&self, lines: &[&str]) {
        self.until_stored(lines).await;
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        super::assert_once(&self.messages(), &lines);
    }

    fn times_said(&self, words: &str) -> usize {
        self.agent.log().lines().filter(|line| line.contains(words)).count()
    }
}

fn append(path: &Path, bytes: impl AsRef<[u8]>) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.expect("a file").write_all(bytes.as_ref()).expect("a file");
}

/// `/proc/self/mem` says EIO where nothing is mapped, which at its first byte nothing is.
#[tokio::test]
async fn a_file_that_the_disk_cannot_read_stops_no_other() {
    let mut scene = Scene::new().await;
    symlink("/proc/self/mem", scene.node.path().join("apps/bad.log")).expect("a link");
    let mut app = scene.node.plain("good.log");
    app.line("one");
    scene.agent.start().await;
    scene.until_stored(&["one"]).await;
    app.line("two");
    scene.assert_stored(&["one", "two"]).await;
    scene.agent.until("the trouble to be said", async || scene.times_said("Input/output error") > 0).await;
    assert_eq!(scene.times_said("Input/output error"), 1, "once: {}", scene.agent.log());
    scene.agent.close().await;
}

/// Of root the right to read everything is taken; others do not have it.
#[tokio::test]
async fn a_permission_that_comes_late_comes_in_time() {
    let mut scene = Scene::new().await;
    if rustix::process::getuid().is_root() {
        scene.agent = scene.agent.under(&["setpriv", "--bounding-set=-dac_override,-dac_read_search"]);
    }
    let (mut closed, mut open) = (scene.node.plain("closed.log"), scene.node.plain("open.log"));
    closed.line("behind the door");
    fs::set_permissions(closed.path(), Permissions::from_mode(0o000)).expect("permissions");
    open.line("in the open");
    scene.agent.start().await;
    scene.until_stored(&["in the open"]).await;
    scene.agent.until("it to be said", async || scene.times_said("Permission denied") == 1).await;
    closed.line("still behind it");
    fs::set_permissions(closed.path(), Permissions::from_mode(0o640)).expect("permissions");
    scene.assert_stored(&["in the open", "behind the door", "still behind it"]).await;
    assert_eq!(scene.times_said("Permission denied"), 1, "once: {}", scene.agent.log());
    assert_eq!(scene.agent.close().await.acknowledged, scene.node.written());
}

#[tokio::test]
async fn a_folder_in_place_of_a_file_becomes_a_file() {
    let mut scene = Scene::new().await;
    let path = scene.node.path().join("apps/folder.log");
    fs::create_dir(&path).expect("a folder");
    scene.node.plain("file.log").line("a file");
    scene.agent.start().await;
    scene.until_stored(&["a file"]).await;
    fs::remove_dir(&path).expect("a folder");
    append(&path, "no folder any more\n");
    scene.assert_stored(&["a file", "no folder any more"]).await;
    scene.agent.close().await;
}

#[tokio::test]
async fn a_link_that_is_pointed_elsewhere_is_followed() {
    let mut scene = Scene::new().await;
    let link = scene.node.path().join("apps/current.log");
    let day = |day: usize| scene.node.path().join(format!("day-{day}.txt"));
    append(&day(1), "the first day\n");
    symlink(day(1), &link).expect("a link");
    scene.agent.start().await;
    scene.until_stored(&["the first day"]).await;
    append(&day(1), "its evening\n");
    append(&day(2), "the second day\n");
    symlink(day(2), link.with_extension("new")).expect("a link");
    fs::rename(link.with_extension("new"), &link).expect("a link");
    scene.until_stored(&["its evening", "the second day"]).await;
    scene.agent.kill9();
    append(&day(2), "its evening too\n");
    scene.agent.start().await;
    scene.assert_stored(&["the first day", "its evening", "the second day", "its evening too"]).await;
    scene.agent.close().await;
}

/// containerd, started anew, goes on with the second half of a line whose first it has forgotten.
#[tokio::test]
async fn a_last_part_whose_first_is_lost_is_a_line() {
    let mut scene = Scene::new().await;
    let mut web = scene.node.pod("shop", "web-1", "web");
    web.out("a line");
    web.part(Stream::Stderr, "a first part without a last");
    web.out("of the order");
    scene.agent.start().await;
    scene.assert_stored(&["a line", "of the order", "a first part without a last"]).await;
    assert_eq!(scene.agent.close().await.acknowledged, scene.node.written());
}

#[tokio::test]
async fn a_thousand_containers_start_at_once() {
    let mut scene = Scene::new().await;
    let names: Vec<String> = (0..1_000).map(|number| format!("web-{number}")).collect();
    let mut webs: Vec<_> = names.iter().map(|name| scene.node.pod("shop", name, "web")).collect();
    let mut expected = Vec::new();
    for (web, name) in webs.iter_mut().zip(&names) {
        expected.push(format!("{name} begins"));
        web.out(&format!("{name} begins"));
    }
    scene.agent.start().await;
    for (web, name) in webs.iter_mut().zip(&names) {
        expected.push(format!("{name} goes on"));
        web.out(&format!("{name} goes on"));
    }
    scene.assert_stored(&expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(scene.agent.close().await.acknowledged, scene.node.written());
}

/// A user namespace has limits of its own: here three folders can be watched, or none.
#[tokio::test]
async fn where_nothing_is_notified_it_is_looked_for() {
    for (limit, words) in [
        ("max_inotify_watches; echo 3", "raise fs.inotify.max_user_watches"),
        ("max_inotify_instances; echo 0", "raise fs.inotify.max_user_instances"),
    ] {
        let (name, echo) = limit.split_once("; ").expect("a limit");
        let mut scene = Scene::new().await;
        let script = format!("{echo} > /proc/sys/user/{name} && exec \"$@\"");
        scene.agent = scene.agent.under(&["unshare", "--user", "--map-root-user", "sh", "-c", &script, "sh"]);
        let mut webs: Vec<_> =
            ["web-1", "web-2", "web-3"].into_iter().map(|name| Counting::new(&scene.node, name)).collect();
        webs.iter_mut().for_each(|web| web.write(10));
        scene.agent.start().await;
        for _ in 0..3 {
            for web in &mut webs {
                web.write(10);
                web.container.rotate(100);
                web.write(10);
            }
            let lines: Vec<&str> = webs.iter().flat_map(|web| web.lines.iter().map(String::as_str)).collect();
            scene.assert_stored(&lines).await;
        }
        webs.push(Counting::new(&scene.node, "web-4"));
        webs.iter_mut().for_each(|web| web.write(1));
        let lines: Vec<&str> = webs.iter().flat_map(|web| web.lines.iter().map(String::as_str)).collect();
        scene.assert_stored(&lines).await;
        assert_eq!(scene.times_said(words), 1, "once: {}", scene.agent.log());
        assert!(scene.agent.metric("skidder_unwatched_folders").await > Some(0.0));
        assert_eq!(scene.agent.close().await.acknowledged, scene.node.written());
    }
}

#[tokio::test]
async fn names_that_are_no_text_are_names() {
    let mut scene = Scene::new().await;
    let odd = |name: &[u8]| scene.node.path().join("apps").join(OsStr::from_bytes(name));
    append(&odd(b"odd\xff.log"), "one\n");
    append(&odd(b"odd\xfe.log"), "other\n");
    append(&odd(b"a b\n\t'\".log"), "third\n");
    scene.agent.start().await;
    scene.until_stored(&["one", "other", "third"]).await;
    scene.agent.kill9();
    append(&odd(b"odd\xff.log"), "one more\n");
    append(&odd(b"odd\xfe.log"), "other more\n");
    scene.agent.start().await;
    scene.assert_stored(&["one", "other", "third", "one more", "other more"]).await;
    scene.agent.close().await;
}

/// After a loss of power a file has its length, and zeros where its last blocks were not written out.
#[tokio::test]
async fn a_hole_of_zeros_is_no_text_and_the_line_after_it_is_whole() {
    const HOLE: usize = 5 << 20;
    let mut scene = Scene::new().await;
    let mut web = scene.node.pod("shop", "web-1", "web");
    web.out("before the loss of power");
    web.raw(vec![0; HOLE]);
    scene.agent.start().await;
    scene.until_stored(&["before the loss of power"]).await;
    scene.agent.at_rest(HOLE as u64).await;
    web.out("after it");
    web.out("and on");
    scene.assert_stored(&["before the loss of power", "after it", "and on"]).await;
    let sums = scene.agent.at_rest(0).await;
    assert_eq!((sums.truncated, sums.acknowledged), (HOLE as u64, scene.node.written() - HOLE as u64));
    scene.agent.close().await;
}

/// The stamps of the runtime step back: each line keeps its own, and none is lost for it. Rotated files are in no order
/// then, so each must be seen before the next comes: the kubelet rotates every ten seconds at the most.
#[tokio::test]
async fn a_clock_that_is_set_back_loses_nothing() {
    let mut scene = Scene::new().await;
    let mut web = Counting::new(&scene.node, "web-1");
    scene.agent.start().await;
    for _ in 0..3 {
        web.write(20);
        scene.node.set_back(std::time::Duration::from_secs(3_600));
        web.container.err("java.lang.IllegalStateException: no order");
        scene.node.set_back(std::time::Duration::from_secs(60));
        web.container.rotate(100);
        let live = web.container.path();
        scene.agent.until("the next file to be open", async || scene.agent.has_open(&live)).await;
        web.write(20);
    }
    scene.agent.until("all lines", async || scene.messages().len() >= web.lines.len() + 3).await;
    let trace = "java.lang.IllegalStateException: no order".to_owned();
    super::assert_once(&scene.messages(), &[web.lines.clone(), vec![trace; 3]].concat());
    assert_eq!(scene.agent.close().await.acknowledged, scene.node.written());
}

/// A program that was not told of the rotation yet, or whose children finish what they do.
#[tokio::test]
async fn what_is_written_to_a_rotated_file_long_after_is_read() {
    let mut scene = Scene::new().await;
    let mut app = scene.node.plain("app.log");
    app.line("one");
    scene.agent.start().await;
    app.rotate();
    app.line("two");
    // The next file is read, so the old one was read to its end.
    scene.until_stored(&["one", "two"]).await;
    let old = scene.node.path().join("apps/app.log.1");
    append(&old, "late\n");
    app.line("three");
    scene.until_stored(&["late", "three"]).await;
    append(&old, "later\n");
    scene.assert_stored(&["one", "two", "late", "three", "later"]).await;
    app.rotate();
    app.line("four");
    scene.assert_stored(&["one", "two", "late", "three", "later", "four"]).await;
    let late = "late\nlater\n".len() as u64;
    assert_eq!(scene.agent.close().await.acknowledged, scene.node.written() + late);
    scene.agent.start().await;
    app.line("five");
    scene.assert_stored(&["one", "two", "late", "three", "later", "four", "five"]).await;
    assert_eq!(scene.fake.model().conflicts, 0, "nothing is read again");
    scene.agent.close().await;
}

/// What is damaged in the middle of a packed file is lost, and counted; what comes after that file is not held up.
#[tokio::test]
async fn a_damaged_gzip_does_not_stop_what_comes_after_it() {
    let mut scene = Scene::new().await;
    let mut web = Counting::new(&scene.node, "web-1");
    web.write(1_000);
    web.container.rotate(100);
    web.write(10);
    web.container.rotate(100);
    web.write(10);
    let [packed, ..] = &web.container.rotated()[..] else { panic!("no rotated file") };
    let bytes = fs::read(packed).expect("a packed file");
    fs::write(packed, &bytes[..bytes.len() / 2]).expect("a packed file");
    scene.agent.start().await;
    let last: Vec<&str> = web.lines[1_000..].iter().map(String::as_str).collect();
    scene.until_stored(&last).await;
    let sums = scene.agent.at_rest(0).await;
    assert!(sums.lost > 0 && scene.times_said("cannot read") == 1, "{sums:?} {}", scene.agent.log());
    scene.agent.close().await;
}
