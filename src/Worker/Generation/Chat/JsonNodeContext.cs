using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Sluice.Worker.Generation.Chat;

/// <summary>
/// The generated serializer for JSON trees. Arguments of tool calls add their nesting to that of a request.
/// </summary>
[JsonSourceGenerationOptions(MaxDepth = 256)]
[JsonSerializable(typeof(JsonNode))]
internal sealed partial class JsonNodeContext : JsonSerializerContext;
