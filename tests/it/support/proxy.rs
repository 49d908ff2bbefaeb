//! An HTTP proxy as companies have one: tunnels for `CONNECT`, and requests with a whole URL.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy on loopback.
#[derive(Clone)]
pub struct Proxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Serves until the runtime ends.
    pub async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let new = Self { url, asked: Arc::default() };
        let serving = new.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = serving.clone();
                // A connection that breaks is the clients' affair.
                tokio::spawn(async move { proxy.connection(stream).await.ok() });
            }
        });
        new
    }

    /// For `HTTPS_PROXY` and the like.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The first lines of what was asked of it, such as `CONNECT 127.0.0.1:9200 HTTP/1.1`, one for each connection.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn connection(self, mut client: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            head.push(client.read_u8().await?);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let line = text.lines().next().unwrap_or_default().to_owned();
        self.asked.lock().unwrap().push(line.clone());
        let mut words = line.split(' ');
        let (method, place) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if method == "CONNECT" {
            let mut server = TcpStream::connect(place).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            return copy_bidirectional(&mut client, &mut server).await.map(drop);
        }
        // `POST http://host:port/path`, and one request for each connection, as each has the whole URL.
        let (host, path) = place.trim_start_matches("http://").split_once('/').unwrap_or_default();
        let mut server = TcpStream::connect(host).await?;
        let first = format!("{method} /{path} HTTP/1.1\r\nconnection: close\r\n");
        server.write_all(first.as_bytes()).await?;
        server.write_all(&head[line.len() + 2..]).await?;
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    }
}
