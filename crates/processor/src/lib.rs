//! Turns and RGB pictures become what the network takes: ids, labels, image spans, pixel values. Training, evaluation and serving all come here.
//!
//! ```text
//! Processor       the one door                                      lib.rs
//! ImageProcessor  picture -> tile -> normalised values              image.rs, image_config.rs, resize.rs
//! chat template   turns -> pieces, which of them are learned        chat_template.rs, jinja_template.rs, jinja_environment.rs
//! Tokenizer       text <-> ids; training a small one                tokenizer.rs, sentencepiece.rs, protobuf.rs, tokenizer_training.rs
//! StreamDecoder   ids one by one -> whole characters                stream.rs
//! the files of a model folder                                       folder.rs
//! ```

mod chat_template;
mod error;
mod folder;
mod image;
mod image_config;
mod jinja_environment;
mod jinja_template;
mod protobuf;
mod resize;
mod sentencepiece;
mod stream;
mod tokenizer;
mod tokenizer_training;

pub use chat_template::INTERNLM2_TEMPLATE;
pub use error::{Error, Result};
pub use image::{Fit, ImageConfig, ImageProcessor, Normalization, Padding, Pixels};
pub use resize::{Canvas, Extent, Filter, Window, resample};
pub use stream::StreamDecoder;
pub use tokenizer::Tokenizer;
pub use tokenizer_training::train_tokenizer;

use chat_template::{ChatTemplate, Content, Ending, Piece};
use folder::TokenizerConfig;
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Rgb8, Role, Turn};
use std::ops::Range;
use std::path::Path;
use tokenizer::Place;

/// The label of a place that takes no part in the loss (PyTorch's `ignore_index`).
pub const IGNORE: i64 = -100;

/// A conversation as the network takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids; each image is `num_image_tokens` copies of the image token.
    pub input_ids: Vec<u32>,
    /// For each place its own id where it is learned, [`IGNORE`] elsewhere. Not shifted: place `i` is predicted from the places before it.
    pub labels: Vec<i64>,
    /// Places of each image's tokens, in the order of the images.
    pub image_spans: Vec<Range<usize>>,
}

impl Encoded {
    fn push(&mut self, id: u32, learned: bool) {
        self.input_ids.push(id);
        self.labels.push(if learned { i64::from(id) } else { IGNORE });
    }
}

/// What the model's config decides for its processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessorConfig {
    /// Places an image takes in the sequence: patches of one tile after the projector.
    pub num_image_tokens: usize,
    /// The control token that stands for them, e.g. `<image>`.
    pub image_token: String,
}

impl ProcessorConfig {
    /// `num_image_tokens` places of the token `<image>`.
    pub fn new(num_image_tokens: usize) -> ProcessorConfig {
        ProcessorConfig { num_image_tokens, image_token: IMAGE_MARKER.to_string() }
    }
}

/// Text and pictures to numbers, and ids back to text.
#[derive(Debug, Clone)]
pub struct Processor {
    config: ProcessorConfig,
    tokenizer: Tokenizer,
    tokenizer_config: TokenizerConfig,
    template: ChatTemplate,
    image: ImageProcessor,
    image_size: usize,
    image_token_id: u32,
    pad_token_id: u32,
}

impl Processor {
    /// A processor from its parts, with InternLM2's chat template.
    pub fn new(tokenizer: Tokenizer, image: ImageConfig, config: ProcessorConfig) -> Result<Processor> {
        let tokenizer_config = TokenizerConfig {
            bos_token: Some("<s>".to_string()),
            eos_token: Some("</s>".to_string()),
            pad_token: Some("</s>".to_string()),
            chat_template: None,
        };
        Processor::assemble(tokenizer, tokenizer_config, image, config)
    }

    /// Reads a model folder: a tokenizer (`tokenizer.json`, or `tokenizer.model` with its config), `preprocessor_config.json` and, where they
    /// are there, `tokenizer_config.json`, `processor_config.json` and the chat template in any of its forms. `num_image_tokens` comes from
    /// the model's config. Without a chat template InternLM2's is taken.
    pub fn from_folder(dir: &Path, num_image_tokens: usize) -> Result<Processor> {
        let folder = folder::read(dir)?;
        let mut config = ProcessorConfig::new(num_image_tokens);
        if let Some(image_token) = folder.image_token {
            config.image_token = image_token;
        }
        Processor::assemble(folder.tokenizer, folder.tokenizer_config, folder.image, config)
    }

    fn assemble(
        tokenizer: Tokenizer,
        tokenizer_config: TokenizerConfig,
        image: ImageConfig,
        config: ProcessorConfig,
    ) -> Result<Processor> {
        let id = |token: &str, purpose| {
            tokenizer.control_id(token).ok_or_else(|| Error::MissingToken { token: token.to_string(), purpose })
        };
        let image_token_id = id(&config.image_token, "it stands for an image's places")?;
        let pad_token =
            tokenizer_config.pad_token.as_deref().or(tokenizer_config.eos_token.as_deref()).unwrap_or("</s>");
        let pad_token_id = id(pad_token, "it fills up short sequences")?;
        let template = ChatTemplate::new(&tokenizer_config, &tokenizer, &config.image_token)?;
        let image_size = square_tile(&image)?;
        let image = ImageProcessor::new(image)?;
        Ok(Processor { config, tokenizer, tokenizer_config, template, image, image_size, image_token_id, pad_token_id })
    }

    /// Writes `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, `chat_template.jinja` and `preprocessor_config.json` into
    /// `dir`, which must exist.
    pub fn save(&self, dir: &Path) -> Result<()> {
        folder::write(dir, &self.tokenizer, &self.tokenizer_config, &self.template, self.image.config())
    }

    /// A whole conversation for training. The assistant's texts and the tokens that end them are learned, nothing else.
    ///
    /// `<image>` in a human turn stands for the next of `num_images` images; elsewhere it is plain text.
    pub fn encode(&self, turns: &[Turn], num_images: usize) -> Result<Encoded> {
        require(turns, Role::Assistant, "of the assistant (`gpt`); there is nothing to learn")?;
        self.sequence(&self.template.pieces(&self.tokenizer, turns, Ending::Closed)?, num_images)
    }

    /// A conversation that waits for the assistant's reply. No label is learned.
    pub fn encode_prompt(&self, turns: &[Turn], num_images: usize) -> Result<Encoded> {
        require(turns, Role::Human, "of a person (`human`); there is nothing to answer")?;
        let pieces = self.template.pieces(&self.tokenizer, turns, Ending::AwaitingReply)?;
        let mut encoded = self.sequence(&pieces, num_images)?;
        encoded.labels.fill(IGNORE);
        Ok(encoded)
    }

    /// The ids of a reply with the token that ends the turn: appended to [`Processor::encode_prompt`] they give [`Processor::encode`]'s ids.
    pub fn encode_reply(&self, text: &str) -> Result<Vec<u32>> {
        let encoded = self.sequence(&self.template.reply(text), 0)?;
        let learned = encoded.input_ids.into_iter().zip(encoded.labels).filter(|(_, label)| *label != IGNORE);
        Ok(learned.map(|(id, _)| id).collect())
    }

    fn sequence(&self, pieces: &[Piece], num_images: usize) -> Result<Encoded> {
        let markers = pieces.iter().filter(|piece| piece.content == Content::Image).count();
        if markers != num_images {
            return Err(Error::ImageCount { markers, images: num_images });
        }
        let mut encoded = Encoded { input_ids: Vec::new(), labels: Vec::new(), image_spans: Vec::new() };
        let mut rest = pieces;
        let mut before = None; // The control token or image that stands before `rest`.
        while let Some((piece, after)) = rest.split_first() {
            match &piece.content {
                Content::Beginning(id) => encoded.push(*id, piece.learned),
                Content::Control(id) => {
                    encoded.push(*id, piece.learned);
                    before = Some(*id);
                }
                Content::Image => {
                    let start = encoded.input_ids.len();
                    (0..self.config.num_image_tokens).for_each(|_| encoded.push(self.image_token_id, false));
                    encoded.image_spans.push(start..encoded.input_ids.len());
                    before = Some(self.image_token_id);
                }
                Content::Text(_) => {
                    let num_texts = rest.iter().take_while(|piece| matches!(piece.content, Content::Text(_))).count();
                    let (texts, after) = rest.split_at(num_texts);
                    let next = after.first().map(|piece| match &piece.content {
                        Content::Control(id) => *id,
                        _ => self.image_token_id,
                    });
                    self.push_texts(texts, before, next, &mut encoded)?;
                    rest = after;
                    continue;
                }
            }
            rest = after;
        }
        Ok(encoded)
    }

    /// Encodes neighbouring texts as one, as the reference does, and labels each token by the text that it ends in.
    fn push_texts(&self, texts: &[Piece], before: Option<u32>, next: Option<u32>, encoded: &mut Encoded) -> Result<()> {
        let mut whole = String::new();
        let mut ends = Vec::new(); // Where each text ends, and whether it is learned.
        for piece in texts {
            if let Content::Text(text) = &piece.content {
                whole.push_str(text);
                ends.push((whole.len(), piece.learned));
            }
        }
        let kept = self.tokenizer.kept(&whole, before, next);
        let place = if before.is_some() { Place::Continued } else { Place::Start };
        for token in self.tokenizer.tokens(&whole[kept.clone()], place)? {
            let end = kept.start + token.end;
            let learned = ends.iter().find(|(text_end, _)| end <= *text_end).is_some_and(|(_, learned)| *learned);
            encoded.push(token.id, learned);
        }
        Ok(())
    }

    /// The tile of a picture, in 8 bits.
    pub fn pixels(&self, picture: &Rgb8) -> Pixels {
        self.image.pixels(picture)
    }

    /// Writes the tile's normalised values, channel by channel, into `out` of `3 * size * size` places.
    pub fn normalize(&self, pixels: &Pixels, out: &mut [f32]) -> Result<()> {
        self.image.normalize(pixels, out)
    }

    /// The text of `ids`, without control tokens.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids)
    }

    /// A decoder for a reply that is being written.
    pub fn stream_decoder(&self) -> StreamDecoder<'_> {
        StreamDecoder::new(&self.tokenizer)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What happens to pictures.
    pub fn image_config(&self) -> &ImageConfig {
        self.image.config()
    }

    /// What the model's config decided.
    pub fn config(&self) -> &ProcessorConfig {
        &self.config
    }

    /// Side of a tile, pixels.
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// The id that stands in the places of an image.
    pub fn image_token_id(&self) -> u32 {
        self.image_token_id
    }

    /// The id that ends the assistant's turn, where writing stops.
    pub fn end_of_turn_id(&self) -> u32 {
        self.template.end_of_turn()
    }

    /// The id that fills up short sequences.
    pub fn pad_token_id(&self) -> u32 {
        self.pad_token_id
    }

    /// Number of ids the embedding must have: one more than the highest.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.vocab_size()
    }
}

fn require(turns: &[Turn], role: Role, needed: &'static str) -> Result<()> {
    let found = turns.iter().any(|turn| turn.from == role);
    if found { Ok(()) } else { Err(Error::MissingTurn { turns: turns.len(), needed }) }
}

/// Side of the tiles. Vision encoders here take squares of one size.
fn square_tile(image: &ImageConfig) -> Result<usize> {
    match image.tile() {
        Some(Extent { width, height }) if width == height => Ok(width),
        found => {
            let found = found.map_or("any shape".to_string(), |tile| format!("{} x {}", tile.width, tile.height));
            let reason = format!("tiles would have {found}, the vision encoder takes squares of one size");
            Err(Error::ImageConfig { field: "crop_size".to_string(), reason })
        }
    }
}
