//! Makes a body what goes over the wire.

use std::sync::{Mutex, PoisonError};

use hyper::body::Bytes;

use super::settings::Compression;
use super::transport::Body;
use crate::ship::gzip::Compressor;

/// Compressors that wait to be used again: at most as many as there were requests at once.
pub struct Press {
    compression: Compression,
    idle: Mutex<Vec<Compressor>>,
}

impl Press {
    /// None is made before it is needed.
    pub fn new(compression: Compression) -> Self {
        Self { compression, idle: Mutex::new(Vec::new()) }
    }

    /// Compresses `lines` on the calling thread, which this keeps busy for milliseconds.
    pub fn pack(&self, lines: Bytes) -> Body {
        if self.compression == Compression::None {
            return Body::Bulk { bytes: lines, gzip: false };
        }
        let mut compressor = self.idle().pop().unwrap_or_default();
        let mut bytes = Vec::new();
        compressor.compress(&lines, &mut bytes);
        self.idle().push(compressor);
        Body::Bulk { bytes: Bytes::from(bytes), gzip: true }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Compressor>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
