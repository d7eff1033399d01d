using System.Text.Json.Serialization;

namespace Sluice.Domain.Scaling;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ScalingDecisionRecord))]
[JsonSerializable(typeof(ScaleState))]
public sealed partial class DecisionJson : JsonSerializerContext;
