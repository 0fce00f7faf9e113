//! The kernel's floor: a server that answers without knowing anything, in batches. What it costs, every server on sockets costs at least.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::batch::{Batch, OCTETS, enlarge_buffers};

/// An answer: the name of the question, A, IN, 60 s, 192.0.2.1.
const ANSWER: [u8; 16] = [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];

/// Answers until the process is ended: by flipping QR, or (`reply`) with one A record between question and OPT, as long as a true answer.
///
/// # Errors
/// The system's, when the address cannot be had.
pub(crate) fn serve(listen: SocketAddr, count: usize, reply: bool) -> io::Result<()> {
    let socket = UdpSocket::bind(listen)?;
    enlarge_buffers(&socket);
    let mut batch = Batch::new(count);
    loop {
        let Ok(received) = batch.receive(&socket, true) else { continue };
        for index in 0..received {
            let (buffer, len) = batch.datagram_mut(index);
            *len = answer(buffer, *len, reply);
        }
        let mut sent = 0;
        while sent < received {
            // One that does not go is left out; the load generator counts it as lost.
            sent += batch.send(&socket, sent, received, true).unwrap_or(1);
        }
    }
}

/// Makes a reply of a query in place; says how long it is. What is no query goes back as it is.
fn answer(buffer: &mut [u8; OCTETS], len: usize, reply: bool) -> usize {
    if len < 17 {
        return len;
    }
    buffer[2] |= 0x80;
    if !reply {
        return len;
    }
    let mut at = 12;
    while at < len && buffer[at] != 0 {
        at += 1 + usize::from(buffer[at]);
    }
    at += 5;
    if at > len || len + ANSWER.len() > OCTETS {
        return len;
    }
    buffer[2] |= 0x04;
    buffer[7] = 1;
    buffer.copy_within(at..len, at + ANSWER.len());
    buffer[at..at + ANSWER.len()].copy_from_slice(&ANSWER);
    len + ANSWER.len()
}
