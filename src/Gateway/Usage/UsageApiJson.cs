using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>The generated serializers of the responses about usage.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(UsageList))]
[JsonSerializable(typeof(KeyUsage))]
[JsonSerializable(typeof(PriceTable))]
internal sealed partial class UsageApiJson : JsonSerializerContext;
