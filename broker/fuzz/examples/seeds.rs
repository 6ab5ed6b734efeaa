//! Writes the streams of the broker's mutation test as the corpus that fuzzing starts from.

#[path = "../../tests/mutation/corpus.rs"]
mod corpus;
#[path = "../../tests/common/encode.rs"]
mod encode;
#[path = "../../tests/common/text.rs"]
mod text;
#[path = "../../tests/common/user.rs"]
mod user;

mod common {
    pub(crate) use crate::encode;

    pub(crate) mod hosts {
        pub(crate) const PASSWORD: &str = "secret";
    }
}

fn main() -> std::io::Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/wire");
    std::fs::create_dir_all(folder)?;
    for (n, packets) in corpus::streams().iter().enumerate() {
        std::fs::write(format!("{folder}/seed-{n}"), packets.concat())?;
    }
    Ok(())
}
