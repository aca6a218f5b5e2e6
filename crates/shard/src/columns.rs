//! The columns of a shard: rows to an Arrow batch and back.
//!
//! | column | type |
//! |---|---|
//! | id, record, source, task, form, department, language, patient, split, generator | text |
//! | images | list of `{bytes, path}`, in the order of the `<image>` markers |
//! | conversations | list of `{from, value}` |
//! | modality, attribute | text or null |
//! | labels | list of `{attribute, en, zh}` |
//! | boxes | list of four fractions `[x1, y1, x2, y2]` |
//! | quiz, provenance | JSON text; quiz or null |

use crate::picture::EncodedImage;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Float32Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use gmai_schema::{
    BoundingBox, Conversation, Department, Form, Label, Language, Modality, Provenance, Quiz, Role, Split, Task, Term,
    Turn,
};
use std::path::Path;
use std::sync::Arc;

/// Name of the column with the pictures.
const IMAGES: &str = "images";

/// A conversation with its pictures, as one row holds them.
pub(crate) struct Row {
    /// The text and all that is known of it.
    pub(crate) conversation: Conversation,
    /// One picture per `<image>` marker.
    pub(crate) images: Vec<EncodedImage>,
}

/// A list field whose items cannot be null.
fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, false)))
}

/// What the list of pictures holds. Nothing in it is null, yet everything is declared so: `datasets` takes a column for pictures
/// only when its field equals the one it would write itself.
fn image_item() -> Field {
    Field::new("item", DataType::Struct(image_fields()), true)
}

fn image_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

fn turn_fields() -> Fields {
    Fields::from(vec![Field::new("from", DataType::Utf8, false), Field::new("value", DataType::Utf8, false)])
}

fn label_fields() -> Fields {
    Fields::from(vec![
        Field::new("attribute", DataType::Utf8, false),
        Field::new("en", DataType::Utf8, false),
        Field::new("zh", DataType::Utf8, true),
    ])
}

/// The Arrow schema of every shard.
pub(crate) fn schema() -> Arc<Schema> {
    // pyarrow takes a schema's metadata from the Arrow schema inside the file alone, not from the file's own list beside it.
    Arc::new(Schema::new_with_metadata(fields(), [("huggingface".to_string(), huggingface_features())].into()))
}

fn fields() -> Vec<Field> {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let optional_text = |name: &str| Field::new(name, DataType::Utf8, true);
    vec![
        text("id"),
        text("record"),
        Field::new(IMAGES, DataType::List(Arc::new(image_item())), true),
        Field::new("conversations", list_of(DataType::Struct(turn_fields())), false),
        text("source"),
        text("task"),
        text("form"),
        optional_text("modality"),
        text("department"),
        optional_text("attribute"),
        Field::new("labels", list_of(DataType::Struct(label_fields())), false),
        Field::new("boxes", list_of(list_of(DataType::Float32)), false),
        text("language"),
        text("patient"),
        text("split"),
        optional_text("quiz"),
        text("generator"),
        text("provenance"),
    ]
}

/// The `huggingface` metadata: how `datasets` reads each column. A JSON list around one feature is a list of it.
pub(crate) fn huggingface_features() -> String {
    let text = serde_json::json!({"dtype": "string", "_type": "Value"});
    let number = serde_json::json!({"dtype": "float32", "_type": "Value"});
    let mut features = serde_json::Map::new();
    for field in fields() {
        let feature = match field.name().as_str() {
            IMAGES => serde_json::json!([{"_type": "Image"}]),
            "conversations" => serde_json::json!([{"from": text, "value": text}]),
            "labels" => serde_json::json!([{"attribute": text, "en": text, "zh": text}]),
            "boxes" => serde_json::json!([[number]]),
            _ => text.clone(),
        };
        features.insert(field.name().clone(), feature);
    }
    serde_json::json!({"info": {"features": features}}).to_string()
}

/// A text column.
fn strings<'a>(rows: &'a [Row], value: impl Fn(&'a Row) -> &'a str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
}

/// A list column: `lengths` items per row, taken from `items` in order.
fn lists(lengths: impl Iterator<Item = usize>, items: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("item", items.data_type().clone(), false));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), items, None))
}

fn images_column(rows: &[Row]) -> ArrayRef {
    let all: Vec<&EncodedImage> = rows.iter().flat_map(|row| &row.images).collect();
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(all.iter().map(|image| &image.bytes)));
    let path: ArrayRef = Arc::new(StringArray::from_iter_values(all.iter().map(|image| &image.path)));
    let items = StructArray::new(image_fields(), vec![bytes, path], None);
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.images.len()));
    Arc::new(ListArray::new(Arc::new(image_item()), offsets, Arc::new(items), None))
}

/// The name of a speaker on disk (LLaVA's).
fn role_key(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Human => "human",
        Role::Assistant => "gpt",
    }
}

fn conversations_column(rows: &[Row]) -> ArrayRef {
    let all: Vec<&Turn> = rows.iter().flat_map(|row| &row.conversation.turns).collect();
    let from: ArrayRef = Arc::new(StringArray::from_iter_values(all.iter().map(|turn| role_key(turn.from))));
    let value: ArrayRef = Arc::new(StringArray::from_iter_values(all.iter().map(|turn| &turn.value)));
    let items = StructArray::new(turn_fields(), vec![from, value], None);
    lists(rows.iter().map(|row| row.conversation.turns.len()), Arc::new(items))
}

fn labels_column(rows: &[Row]) -> ArrayRef {
    let all: Vec<&Label> = rows.iter().flat_map(|row| &row.conversation.labels).collect();
    let attribute: ArrayRef = Arc::new(StringArray::from_iter_values(all.iter().map(|label| &label.attribute)));
    let en: ArrayRef = Arc::new(StringArray::from_iter_values(all.iter().map(|label| &label.value.en)));
    let zh: ArrayRef = Arc::new(StringArray::from_iter(all.iter().map(|label| label.value.zh.as_deref())));
    let items = StructArray::new(label_fields(), vec![attribute, en, zh], None);
    lists(rows.iter().map(|row| row.conversation.labels.len()), Arc::new(items))
}

fn boxes_column(rows: &[Row]) -> ArrayRef {
    let all: Vec<&BoundingBox> = rows.iter().flat_map(|row| &row.conversation.boxes).collect();
    let edges: Vec<f32> = all.iter().flat_map(|bounds| [bounds.x1, bounds.y1, bounds.x2, bounds.y2]).collect();
    let edges: ArrayRef = Arc::new(Float32Array::from(edges));
    let boxes = lists(all.iter().map(|_| 4), edges);
    lists(rows.iter().map(|row| row.conversation.boxes.len()), boxes)
}

/// The rows as one Arrow batch. All values fit by construction; an error would be a defect of this file.
pub(crate) fn to_batch(rows: &[Row]) -> std::result::Result<RecordBatch, ArrowError> {
    let json_error = |error: serde_json::Error| ArrowError::ExternalError(Box::new(error));
    let quiz = rows
        .iter()
        .map(|row| row.conversation.quiz.as_ref().map(serde_json::to_string).transpose())
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(json_error)?;
    let provenance = rows
        .iter()
        .map(|row| serde_json::to_string(&row.conversation.provenance))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(json_error)?;
    let modality = rows.iter().map(|row| row.conversation.modality.map(Modality::key));
    let attribute = rows.iter().map(|row| row.conversation.attribute.as_deref());
    RecordBatch::try_new(
        schema(),
        vec![
            strings(rows, |row| &row.conversation.id),
            strings(rows, |row| &row.conversation.record),
            images_column(rows),
            conversations_column(rows),
            strings(rows, |row| &row.conversation.source),
            strings(rows, |row| row.conversation.task.key()),
            strings(rows, |row| row.conversation.form.key()),
            Arc::new(StringArray::from_iter(modality)),
            strings(rows, |row| row.conversation.department.key()),
            Arc::new(StringArray::from_iter(attribute)),
            labels_column(rows),
            boxes_column(rows),
            strings(rows, |row| row.conversation.language.key()),
            strings(rows, |row| &row.conversation.patient),
            strings(rows, |row| row.conversation.split.key()),
            Arc::new(StringArray::from_iter(quiz)),
            strings(rows, |row| &row.conversation.generator),
            Arc::new(StringArray::from_iter_values(provenance)),
        ],
    )
}

/// Reads the rows of one batch of a shard.
pub(crate) struct BatchReader<'a> {
    batch: &'a RecordBatch,
    shard: &'a Path,
    /// Row of the shard that the batch's first row is, for messages.
    first_row: usize,
}

impl<'a> BatchReader<'a> {
    /// A reader of `batch`, after checking that it has the columns of [`schema`].
    pub(crate) fn new(batch: &'a RecordBatch, shard: &'a Path, first_row: usize) -> Result<BatchReader<'a>> {
        let reader = BatchReader { batch, shard, first_row };
        for (index, expected) in schema().fields().iter().enumerate() {
            let found = batch.schema_ref().fields().get(index).map(|field| (field.name(), field.data_type()));
            if found != Some((expected.name(), expected.data_type())) {
                let reason = format!("column {index} should be `{}`, found {found:?}", expected.name());
                return Err(reader.bad(0, "schema", reason));
            }
        }
        Ok(reader)
    }

    fn bad(&self, row: usize, column: &'static str, reason: impl Into<String>) -> Error {
        Error::BadRow { path: self.shard.to_path_buf(), row: self.first_row + row, column, reason: reason.into() }
    }

    fn column(&self, name: &'static str) -> Result<&'a ArrayRef> {
        self.batch.column_by_name(name).ok_or_else(|| self.bad(0, name, "the column is missing"))
    }

    fn text(&self, row: usize, name: &'static str) -> Result<&'a str> {
        self.optional_text(row, name)?.ok_or_else(|| self.bad(row, name, "the value is null"))
    }

    fn optional_text(&self, row: usize, name: &'static str) -> Result<Option<&'a str>> {
        let column = self.column(name)?.as_string::<i32>();
        Ok(column.is_valid(row).then(|| column.value(row)))
    }

    /// A text value that stands for a member of a closed vocabulary.
    fn member<T>(&self, row: usize, name: &'static str, from_key: impl Fn(&str) -> Option<T>) -> Result<T> {
        let key = self.text(row, name)?;
        from_key(key).ok_or_else(|| self.bad(row, name, format!("unknown key `{key}`")))
    }

    /// The items of a list column in one row.
    fn items(&self, row: usize, name: &'static str) -> Result<ArrayRef> {
        Ok(self.column(name)?.as_list::<i32>().value(row))
    }

    /// The row at `row` of the batch.
    pub(crate) fn row(&self, row: usize) -> Result<Row> {
        let modality = match self.optional_text(row, "modality")? {
            None => None,
            Some(_) => Some(self.member(row, "modality", Modality::from_key)?),
        };
        let quiz = self.optional_text(row, "quiz")?.map(serde_json::from_str::<Quiz>).transpose();
        let provenance = serde_json::from_str::<Provenance>(self.text(row, "provenance")?);
        let conversation = Conversation {
            id: self.text(row, "id")?.to_string(),
            record: self.text(row, "record")?.to_string(),
            turns: self.turns(row)?,
            form: self.member(row, "form", Form::from_key)?,
            quiz: quiz.map_err(|error| self.bad(row, "quiz", error.to_string()))?,
            attribute: self.optional_text(row, "attribute")?.map(str::to_string),
            source: self.text(row, "source")?.to_string(),
            task: self.member(row, "task", Task::from_key)?,
            modality,
            department: self.member(row, "department", Department::from_key)?,
            labels: self.labels(row)?,
            boxes: self.boxes(row)?,
            language: self
                .member(row, "language", |key| Language::ALL.into_iter().find(|language| language.key() == key))?,
            patient: self.text(row, "patient")?.to_string(),
            split: self.member(row, "split", Split::from_key)?,
            generator: self.text(row, "generator")?.to_string(),
            provenance: provenance.map_err(|error| self.bad(row, "provenance", error.to_string()))?,
        };
        Ok(Row { conversation, images: self.images(row)? })
    }

    fn turns(&self, row: usize) -> Result<Vec<Turn>> {
        let items = self.items(row, "conversations")?;
        let (from, value) = (items.as_struct().column(0), items.as_struct().column(1));
        let (from, value) = (from.as_string::<i32>(), value.as_string::<i32>());
        (0..items.len())
            .map(|index| {
                let key = from.value(index);
                let role = [Role::System, Role::Human, Role::Assistant].into_iter().find(|role| role_key(*role) == key);
                let role = role.ok_or_else(|| self.bad(row, "conversations", format!("unknown speaker `{key}`")))?;
                Ok(Turn { from: role, value: value.value(index).to_string() })
            })
            .collect()
    }

    fn images(&self, row: usize) -> Result<Vec<EncodedImage>> {
        let column = self.column(IMAGES)?;
        let items = self.items(row, IMAGES)?;
        let (bytes, path) = (items.as_struct().column(0), items.as_struct().column(1));
        let nulls = [column.is_null(row), items.null_count() > 0, bytes.null_count() > 0, path.null_count() > 0];
        if nulls.contains(&true) {
            return Err(self.bad(row, IMAGES, "a picture, its bytes or its path is null"));
        }
        let (bytes, path) = (bytes.as_binary::<i32>(), path.as_string::<i32>());
        let image = |index| EncodedImage { bytes: bytes.value(index).to_vec(), path: path.value(index).to_string() };
        Ok((0..items.len()).map(image).collect())
    }

    fn labels(&self, row: usize) -> Result<Vec<Label>> {
        let items = self.items(row, "labels")?;
        let columns = items.as_struct();
        let (attribute, en, zh) = (columns.column(0), columns.column(1), columns.column(2));
        let (attribute, en, zh) = (attribute.as_string::<i32>(), en.as_string::<i32>(), zh.as_string::<i32>());
        let label = |index| Label {
            attribute: attribute.value(index).to_string(),
            value: Term {
                en: en.value(index).to_string(),
                zh: zh.is_valid(index).then(|| zh.value(index).to_string()),
            },
        };
        Ok((0..items.len()).map(label).collect())
    }

    fn boxes(&self, row: usize) -> Result<Vec<BoundingBox>> {
        let items = self.items(row, "boxes")?;
        let items = items.as_list::<i32>();
        (0..items.len())
            .map(|index| {
                let edges = items.value(index);
                match *edges.as_primitive::<Float32Type>().values().as_ref() {
                    [x1, y1, x2, y2] => Ok(BoundingBox { x1, y1, x2, y2 }),
                    _ => Err(self.bad(row, "boxes", format!("a box has 4 numbers, this one {}", edges.len()))),
                }
            })
            .collect()
    }
}
