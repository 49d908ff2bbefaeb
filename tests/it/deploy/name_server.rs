//! A name server as a cluster has one: it knows a few names by their full form.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

/// The type of a question for an IPv4 address.
const A: [u8; 2] = [0, 1];

/// Answers on port 53 of a loopback address of its own, until the runtime ends.
pub struct NameServer {
    /// For `nameserver` in a pod's `/etc/resolv.conf`.
    pub address: Ipv4Addr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// `name` is 127.0.0.1, and there is no other.
    pub async fn knowing(name: &'static str) -> Self {
        let address = Ipv4Addr::new(127, fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255));
        let socket = UdpSocket::bind((address, 53)).await;
        let socket = socket.expect("port 53 of a loopback address: these tests must run as root");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut packet = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut packet).await {
                let Some(question) = question(&packet[..length]) else { continue };
                heard.lock().unwrap().push(question.name.clone());
                let _ = socket.send_to(&answer(&packet[..2], &question, question.name == name), client).await;
            }
        });
        Self { address, asked }
    }

    /// The names that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

struct Question {
    /// With dots, none at its end.
    name: String,
    kind: [u8; 2],
    /// As it stands in the packet.
    bytes: Vec<u8>,
}

/// The first question of a packet.
fn question(packet: &[u8]) -> Option<Question> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*packet.get(at)?);
        let label = packet.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).into_owned());
    }
    let kind = packet.get(at..at + 2)?.try_into().ok()?;
    Some(Question { name: labels.join("."), kind, bytes: packet.get(12..at + 4)?.to_vec() })
}

fn answer(id: &[u8], question: &Question, known: bool) -> Vec<u8> {
    let has_address = known && question.kind == A;
    // An answer, recursion available; NXDOMAIN for what is not known.
    let flags = [0x81, if known { 0x80 } else { 0x83 }];
    let mut packet = [id, &flags, &[0, 1, 0, u8::from(has_address), 0, 0, 0, 0], &question.bytes].concat();
    if has_address {
        // The name of the question, an A of class IN, for a minute, four bytes.
        packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    packet
}
