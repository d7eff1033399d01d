using System.Text.Json.Serialization;

namespace Sluice.Models.Cache;

/// <summary>The description of a model in the store, in the file <c>model.json</c> of its folder.</summary>
/// <param name="Source">The declared source.</param>
/// <param name="Revision">The revision at the time of the download; may be empty.</param>
/// <param name="Bytes">The size of its files.</param>
/// <param name="StoredAt">When the download was complete.</param>
public sealed record StoredModel(string Source, string Revision, long Bytes, DateTimeOffset StoredAt);

/// <summary>The serializer of the store's files.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(StoredModel))]
internal sealed partial class StoreJson : JsonSerializerContext;
