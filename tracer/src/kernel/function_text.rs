//! The machine code of one function, read or recorded.

/// A function's machine code as read from a kernel.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FunctionText {
    /// The caller's name in the catalogue.
    pub caller: String,
    /// The symbol it was read from, such as `foo.isra.0`.
    pub symbol: String,
    /// Address of the first byte.
    pub address: u64,
    /// The code.
    #[serde(with = "hex")]
    pub code: Vec<u8>,
}

/// Machine code as text, for recorded kernels.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        (0..text.len())
            .step_by(2)
            .map(|at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<_>>()
            .ok_or_else(|| Error::custom("not hexadecimal"))
    }
}
