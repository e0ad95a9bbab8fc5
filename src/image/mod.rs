//! Composes layers and configuration to an image.

mod base;
mod build;
mod documents;
mod index;
mod layers;
mod layers_request;
mod outputs;
mod request;

pub use build::{BuildResult, LayerSummary, build};
pub use index::{IndexResult, IndexSpec, IndexedImage, index};
pub use layers_request::{LayerMode, LayersRequest, RuleKind, RuleRequest};
pub use request::{
    ArchiveRequest, BaseMode, BaseRequest, CacheRequest, CompressionRequest, ConfigRequest, ImageSpec, OutputRequest,
    PlatformRequest, SourceRequest,
};
