using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>The generated serializers of the responses about usage.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(UsageList))]
[JsonSerializable(typeof(KeyUsage))]
[JsonSerializable(typeof(PriceTable))]
[JsonSerializable(typeof(Budget))]
[JsonSerializable(typeof(BudgetView))]
[JsonSerializable(typeof(BudgetList))]
[JsonSerializable(typeof(BudgetAlertBody))]
[JsonSerializable(typeof(AlertSecrets))]
internal sealed partial class UsageApiJson : JsonSerializerContext;
