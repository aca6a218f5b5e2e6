//! InternLM2's packed projections and names, and Llama's.
//!
//! `wqkv` is `[(H + 2 K) C, D]`: for each key-value head its G = H / K queries, its key, its value, C rows each. InternLM2 is Llama otherwise:
//! the same rotation of halves, the same norms, the same gated feed-forward part.

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::gather::{Gather, Rows};
use crate::shapes::{Family, Shapes};
use std::ops::Range;

/// InternLM2's name of a part, and Llama's.
const NAMES: [(&str, &str); 8] = [
    ("model.tok_embeddings", "model.embed_tokens"),
    ("output", "lm_head"),
    ("attention.wo", "self_attn.o_proj"),
    ("feed_forward.w1", "mlp.gate_proj"),
    ("feed_forward.w2", "mlp.down_proj"),
    ("feed_forward.w3", "mlp.up_proj"),
    ("attention_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
];

/// The three projections that are packed, in their order in each group.
const PROJECTIONS: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

/// Every tensor of a checkpoint under Llama's names, q, k and v apart.
pub fn unpacked(checkpoint: &Checkpoint, shapes: &Shapes) -> Result<Vec<Gather>> {
    let mut tensors = Vec::new();
    for name in checkpoint.names() {
        if shapes.family != Family::InternLm2 || !name.starts_with("language_model.") {
            tensors.push(Gather::whole(checkpoint, name, name)?);
        } else if let Some((layer, part)) = name.split_once(".attention.wqkv.") {
            for (index, projection) in PROJECTIONS.iter().enumerate() {
                let rows = |head| Rows { tensor: name.to_owned(), rows: packed_rows(shapes, head)[index].clone() };
                let pieces = (0..shapes.num_kv_heads).map(rows).collect();
                tensors.push(Gather::new(checkpoint, &format!("{layer}.self_attn.{projection}.{part}"), pieces)?);
            }
        } else {
            tensors.push(Gather::whole(checkpoint, name, &renamed(name, |(packed, apart)| (packed, apart)))?);
        }
    }
    Ok(tensors)
}

/// Every tensor of a checkpoint with Llama's names under InternLM2's, q, k and v packed.
pub fn packed(checkpoint: &Checkpoint, shapes: &Shapes) -> Result<Vec<Gather>> {
    let mut tensors = Vec::new();
    let (group, head_dim) = (shapes.num_query_groups() * shapes.head_dim, shapes.head_dim);
    for name in checkpoint.names() {
        if !name.starts_with("language_model.") {
            tensors.push(Gather::whole(checkpoint, name, name)?);
        } else if let Some((layer, part)) = name.split_once(".self_attn.q_proj.") {
            let rows = |(projection, width): (&str, usize), head: usize| Rows {
                tensor: format!("{layer}.self_attn.{projection}.{part}"),
                rows: head * width..(head + 1) * width,
            };
            let widths = [(PROJECTIONS[0], group), (PROJECTIONS[1], head_dim), (PROJECTIONS[2], head_dim)];
            let pieces = (0..shapes.num_kv_heads).flat_map(|head| widths.map(|width| rows(width, head))).collect();
            tensors.push(Gather::new(checkpoint, &format!("{layer}.attention.wqkv.{part}"), pieces)?);
        } else if !(name.contains(".self_attn.k_proj.") || name.contains(".self_attn.v_proj.")) {
            tensors.push(Gather::whole(checkpoint, name, &renamed(name, |(packed, apart)| (apart, packed)))?);
        }
    }
    Ok(tensors)
}

/// Rows of the queries, the key and the value of key-value head `head` in `wqkv`.
fn packed_rows(shapes: &Shapes, head: usize) -> [Range<usize>; 3] {
    let (groups, head_dim) = (shapes.num_query_groups(), shapes.head_dim);
    let start = head * (groups + 2) * head_dim;
    let key = start + groups * head_dim;
    [start..key, key..key + head_dim, key + head_dim..key + 2 * head_dim]
}

/// A name with the part that has another name in the other layout replaced.
fn renamed(name: &str, direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str)) -> String {
    for (old, new) in NAMES.map(direction) {
        // The part stands between dots, so that `output` is not found inside another word.
        if let Some(at) = name.find(&format!(".{old}.")) {
            return format!("{}.{new}.{}", &name[..at], &name[at + old.len() + 2..]);
        }
    }
    name.to_owned()
}
