using System.Text.Json.Serialization;
using Sluice.Domain.Fleet;

namespace Sluice.Storage.Queueing;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(WorkerAddress))]
[JsonSerializable(typeof(BlockedStart))]
internal sealed partial class DispatchJson : JsonSerializerContext;
