//! Over real sockets: who we are, whom we trust, which node, and the template before the first document.

use std::fs;
use std::sync::Arc;

use skidder::event::{Batch, Settled, Verdict};
use skidder::observe::Metrics;
use skidder::ship::elasticsearch::{
    Access, ClientError, Health, Replayed, Secret, SecretSource, Settings, State, StateHandle, Tls, replay,
    run,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{batch, stream};
use crate::support::authority::Authority;
use crate::support::fake::{Behaviour, Fake, item_error};

struct Output {
    batches: mpsc::Sender<Batch>,
    settled: mpsc::UnboundedReceiver<Settled>,
    state: StateHandle,
    running: JoinHandle<Result<(), ClientError>>,
}

fn settings(urls: &[&str]) -> Settings {
    let urls = urls.iter().map(|url| url.parse().unwrap()).collect();
    Settings { setup_jitter: std::time::Duration::ZERO, ..Settings::new(urls) }
}

impl Output {
    fn start(settings: Settings) -> Self {
        let (batches, receive) = mpsc::channel(100);
        let (send, settled) = mpsc::unbounded_channel();
        let state = StateHandle::default();
        let running = tokio::spawn(run(settings, receive, send, Arc::new(Metrics::default()), state.clone()));
        Self { batches, settled, state, running }
    }

    async fn ship(&mut self, batch: Batch) -> Vec<Verdict> {
        self.batches.send(batch).await.unwrap();
        self.settled.recv().await.unwrap().verdicts
    }

    async fn until(&self, wished: impl Fn(&State) -> bool) -> State {
        self.state.subscribe().wait_for(|state| wished(state)).await.unwrap().clone()
    }
}

fn in_trouble(state: &State) -> bool {
    matches!(state.health, Health::Trouble { .. })
}

#[tokio::test]
async fn a_wrong_key_file_then_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("api-key");
    fs::write(&key_file, "wrong:secret\n").unwrap();
    let fake = Fake::new();
    fake.rule(|seen| match seen.authorization.as_str() {
        "ApiKey cmlnaHQ6c2VjcmV0" => Behaviour::Accept,
        _ => Behaviour::error(401, "security_exception", "unable to authenticate with provided credentials"),
    });
    let url = fake.serve().await;
    let access = Access::ApiKey(SecretSource::File(key_file.clone()));
    let mut output =
        Output::start(Settings { access, setup: false, ..settings(&[&format!("{url}/prefix/")]) });
    output.batches.send(batch(0, &stream("logs-a-default"), [1])).await.unwrap();
    let state = output.until(in_trouble).await;
    let said = format!("{state:?}");
    assert!(said.contains("401") && said.contains("create_doc") && !said.contains("secret:"), "{said}");

    fs::write(folder.path().join("next"), "right:secret").unwrap();
    fs::rename(folder.path().join("next"), &key_file).unwrap();
    assert_eq!(output.settled.recv().await.unwrap().verdicts, [Verdict::Shipped]);
    assert_eq!(output.state.now().health, Health::Sending);
    let seen = fake.model().seen.last().unwrap().clone();
    assert!(seen.path.starts_with("/prefix/logs-a-default/_bulk?"), "{}", seen.path);
    assert!(seen.agent.starts_with("skidder/"), "{}", seen.agent);
}

#[tokio::test]
async fn a_dead_node_is_passed_over() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead_url = format!("http://{}", dead.local_addr().unwrap());
    drop(dead);
    let fake = Fake::new();
    let url = fake.serve().await;
    let mut output = Output::start(Settings { setup: false, ..settings(&[&dead_url, &url]) });
    for sequence in 0..6 {
        let shipped = output.ship(batch(sequence, &stream("logs-a-default"), [sequence as usize])).await;
        assert_eq!(shipped, [Verdict::Shipped]);
    }
    assert_eq!(output.state.now().dead_nodes, [dead_url]);
    drop(output.batches);
    output.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn broken_connections_lose_and_double_nothing() {
    let fake = Fake::new();
    let url = fake.serve().await;
    let broken = [Behaviour::Lost, Behaviour::Cut, Behaviour::Garbage, Behaviour::Short, Behaviour::Endless];
    for (sequence, behaviour) in (0..).zip(broken) {
        fake.script([behaviour]);
        let mut output = Output::start(Settings { setup: false, ..settings(&[&url]) });
        let ids = sequence * 50..(sequence + 1) * 50;
        let verdicts = output.ship(batch(sequence as u64, &stream("logs-a-default"), ids)).await;
        assert_eq!(verdicts, [Verdict::Duplicate; 50]);
    }
    assert_eq!(fake.documents("logs-a-default").len(), 250);
}

#[tokio::test]
async fn its_own_authority_is_trusted_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let fake = Fake::new();
    let url = fake.serve_tls(&ca_file).await;
    let password = SecretSource::Value(Secret::new("hunter2"));
    let access = Access::Basic { user: "skidder".into(), password };

    let stranger = Output::start(Settings { access: access.clone(), setup: false, ..settings(&[&url]) });
    stranger.batches.send(batch(0, &stream("logs-a-default"), [1])).await.unwrap();
    let state = stranger.until(in_trouble).await;
    assert!(format!("{state:?}").to_lowercase().contains("certificate"), "{state:?}");
    assert_eq!(fake.requests(), 0);

    let tls = Tls { ca_file: Some(ca_file), ..Tls::default() };
    let mut trusted = Output::start(Settings { access, tls, setup: false, ..settings(&[&url]) });
    assert_eq!(trusted.ship(batch(0, &stream("logs-a-default"), [1])).await, [Verdict::Shipped]);
    assert_eq!(fake.model().seen[0].authorization, "Basic c2tpZGRlcjpodW50ZXIy");

    let missing = Tls { ca_file: Some(folder.path().join("none.pem")), ..Tls::default() };
    let refused = Output::start(Settings { tls: missing, ..settings(&[&url]) });
    assert!(refused.running.await.unwrap().unwrap_err().to_string().contains("none.pem"));
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let authority = Authority::new();
    fs::write(&ca_file, authority.pem()).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let fake = Fake::new();
        let url = fake.serve_as(&authority.issue(&["localhost"]), &[version], None).await;
        let tls = Tls { ca_file: Some(ca_file.clone()), ..Tls::default() };
        let mut output = Output::start(Settings { tls, setup: false, ..settings(&[&url]) });
        assert_eq!(output.ship(batch(0, &stream("logs-a-default"), [1])).await, [Verdict::Shipped]);
    }
}

#[tokio::test]
async fn a_client_certificate_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let [ca_file, cert_file, key_file] = ["ca", "cert", "key"].map(|name| folder.path().join(name));
    let (ours, stranger) = (Authority::new(), Authority::new());
    let certify = |authority: &Authority| {
        let identity = authority.issue(&["skidder"]);
        fs::write(&key_file, identity.key).unwrap();
        fs::write(&cert_file, identity.certificate).unwrap();
    };
    fs::write(&ca_file, ours.pem()).unwrap();
    certify(&stranger);
    let fake = Fake::new();
    let identity = ours.issue(&["localhost"]);
    let url = fake.serve_as(&identity, rustls::DEFAULT_VERSIONS, Some(&ours.pem())).await;
    let tls = Tls {
        ca_file: Some(ca_file),
        cert_file: Some(cert_file.clone()),
        key_file: Some(key_file.clone()),
        insecure_skip_verify: false,
    };
    let mut output = Output::start(Settings { tls, setup: false, ..settings(&[&url]) });
    output.batches.send(batch(0, &stream("logs-a-default"), [1])).await.unwrap();
    output.until(in_trouble).await;
    assert_eq!(fake.requests(), 0);
    certify(&ours);
    assert_eq!(output.settled.recv().await.unwrap().verdicts, [Verdict::Shipped]);
}

#[tokio::test]
async fn the_template_is_there_before_the_first_document() {
    let fake = Fake::new();
    let url = fake.serve().await;
    let mut output = Output::start(settings(&[&url]));
    output.ship(batch(0, &stream("logs-a-default"), [1])).await;
    output.ship(batch(1, &stream("logs-b-default"), [2])).await;
    output.ship(batch(2, &stream("logs-a-default"), [3])).await;
    let model = fake.model();
    for name in ["/_component_template/skidder-logs", "/_index_template/skidder-logs-a-default"] {
        assert_eq!(model.templates[name]["_meta"]["managed_by"], "skidder");
    }
    let puts = model.others.iter().filter(|request| request.starts_with("PUT")).count();
    assert_eq!(puts, 3, "{:?}", model.others);
}

#[tokio::test]
async fn without_the_privilege_it_ships_all_the_same() {
    let fake = Fake::new();
    fake.model().refuse_templates = Some(403);
    let url = fake.serve().await;
    let mut output = Output::start(settings(&[&url]));
    for (sequence, name) in ["logs-a-default", "logs-b-default"].iter().enumerate() {
        assert_eq!(output.ship(batch(sequence as u64, &stream(name), [1])).await, [Verdict::Shipped]);
    }
    let asked = fake.model().others.iter().filter(|request| request.contains("_template/")).count();
    assert_eq!(asked, 1, "it does not ask again");
}

#[tokio::test]
async fn dead_letters_are_replayed_once_the_mapping_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    fake.rule(|_| {
        Behaviour::items(|_, _| item_error(400, "document_parsing_exception", "field [json.code]"))
    });
    let url = fake.serve().await;
    let settings =
        Settings { setup: false, data_dir: Some(folder.path().to_path_buf()), ..settings(&[&url]) };
    let mut output = Output::start(settings.clone());
    assert_eq!(output.ship(batch(0, &stream("logs-a-default"), 0..5)).await, [Verdict::DeadLetter; 5]);

    let again = || replay(settings.clone(), Arc::new(Metrics::default()), StateHandle::default());
    assert_eq!(again().await.unwrap(), Replayed { refused: 5, ..Replayed::default() });
    fake.rule(|_| Behaviour::Accept);
    assert_eq!(again().await.unwrap(), Replayed { shipped: 5, ..Replayed::default() });
    assert_eq!(again().await.unwrap(), Replayed::default());
    let documents = fake.documents("logs-a-default");
    assert_eq!(documents.len(), 5);
    assert!(documents.iter().all(|document| document["json"]["code"] == "abc"), "as they were first sent");
}
