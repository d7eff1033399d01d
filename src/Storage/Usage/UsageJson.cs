using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Usage;

namespace Sluice.Storage.Usage;

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(PriceTable))]
[JsonSerializable(typeof(Budget))]
internal sealed partial class UsageJson : JsonSerializerContext;
