//! A WebSocket as a stream of bytes, of bounded memory.

mod frame_splitter;
mod gate;
mod split_frames;
mod stream;

pub(crate) use stream::MqttWebSocket;
