using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.Batches;

/// <summary>The generated serializers of what the gateway stores with a batch.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(BatchRequest))]
[JsonSerializable(typeof(BatchErrors))]
[JsonSerializable(typeof(string))]
internal sealed partial class BatchJson : JsonSerializerContext;
