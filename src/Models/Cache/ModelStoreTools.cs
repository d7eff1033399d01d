using Sluice.Models.Sources;

namespace Sluice.Models.Cache;

/// <summary>What the downloads of a store share.</summary>
internal sealed record ModelStoreTools(
    ModelStoreSettings Settings, HttpClient Http, ModelSources Sources, StoreEviction Eviction, TimeProvider Time);
