using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Series;

namespace Sluice.Gateway.Overview;

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(OverviewView))]
[JsonSerializable(typeof(SeriesChart))]
internal sealed partial class OverviewJson : JsonSerializerContext;
