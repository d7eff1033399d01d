using System.Text.Json.Serialization;

namespace Sluice.Storage.Keys;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ApiKey))]
[JsonSerializable(typeof(Session))]
internal sealed partial class KeyJson : JsonSerializerContext;
