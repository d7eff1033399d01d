using System.Text.Json.Serialization;

namespace Sluice.Domain.Nodes;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(FleetNode))]
public sealed partial class FleetNodeJson : JsonSerializerContext;
