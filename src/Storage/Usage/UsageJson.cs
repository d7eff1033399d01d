using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Usage;

namespace Sluice.Storage.Usage;

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(PriceTable))]
internal sealed partial class UsageJson : JsonSerializerContext;
