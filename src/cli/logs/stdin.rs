//! Standard input for a reader that must not wait for it: other logs go on, and what is unfinished is shown in time.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

/// How much is read at once, in bytes.
const BLOCK: usize = 64 * 1024;

/// How many blocks are read ahead.
const AHEAD: usize = 4;

/// What a thread of its own has read. When nothing is there just now, reading would block; the thread rings when
/// there is more, or the end.
#[derive(Debug)]
pub struct Blocks {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: io::Cursor<Vec<u8>>,
}

impl Blocks {
    /// Starts to read `input`; `ring` is called after each block and after the end.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(input: impl Read + Send + 'static, ring: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(AHEAD);
        // Nobody waits for this thread: it ends with its input, or with the process.
        thread::Builder::new().name("stdin".into()).spawn(move || {
            pump(input, &sender, &ring);
            drop(sender);
            ring();
        })?;
        Ok(Self { blocks, block: io::Cursor::default() })
    }
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.block.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        match self.blocks.try_recv() {
            Ok(block) => {
                self.block = io::Cursor::new(block?);
                self.block.read(buffer)
            }
            Err(TryRecvError::Empty) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryRecvError::Disconnected) => Ok(0),
        }
    }
}

/// Passes on what is read until there is no more, or nobody to take it.
fn pump(mut input: impl Read, blocks: &SyncSender<io::Result<Vec<u8>>>, ring: &impl Fn()) {
    loop {
        let mut block = vec![0; BLOCK];
        let read = match input.read(&mut block) {
            Ok(0) => return,
            Ok(count) => {
                block.truncate(count);
                Ok(block)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = read.is_err();
        if blocks.send(read).is_err() || is_last {
            return;
        }
        ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Gives what it is sent, and ends when the sender is dropped.
    struct Sent(Receiver<Vec<u8>>);

    impl Read for Sent {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Ok(bytes) = self.0.recv() else { return Ok(0) };
            buffer[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn would_block_until_there_is_more_and_then_ends() {
        let (input, output) = channel();
        let (bell, rung) = channel();
        let mut blocks = Blocks::start(Sent(output), move || bell.send(()).unwrap()).unwrap();
        let mut buffer = [0; 4];
        assert_eq!(blocks.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        input.send(b"abcdef".to_vec()).unwrap();
        rung.recv().unwrap();
        assert_eq!((blocks.read(&mut buffer).unwrap(), &buffer), (4, b"abcd"));
        assert_eq!((blocks.read(&mut buffer).unwrap(), &buffer[..2]), (2, &b"ef"[..]));
        assert_eq!(blocks.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(input);
        rung.recv().unwrap();
        assert_eq!(blocks.read(&mut buffer).unwrap(), 0);
    }
}
