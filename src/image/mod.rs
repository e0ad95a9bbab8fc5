//! Composes layers and configuration to an image.

mod base;
mod build;
mod documents;
mod index;
mod layers;
mod outputs;
mod request;

pub use build::{BuildResult, LayerSummary, build};
pub use index::{IndexResult, IndexSpec, IndexedImage, index};
pub use request::{
    ArchiveRequest, BaseMode, BaseRequest, CacheRequest, CompressionRequest, ConfigRequest, ImageSpec, LayerMode,
    LayersRequest, OutputRequest, PlatformRequest, RuleKind, RuleRequest, SourceRequest,
};
