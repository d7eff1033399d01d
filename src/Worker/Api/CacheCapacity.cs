using System.Globalization;
using Sluice.Worker.Serving;

namespace Sluice.Worker.Api;

/// <summary>Tells the gateway how many tokens the worker can hold, so that it sends no more texts than fit.</summary>
internal static class CacheCapacity
{
    /// <summary>Response header of <c>/v2/health/ready</c>.</summary>
    public const string Header = "X-Sluice-Cache";

    /// <summary>
    /// Returns the value of the header, for example <c>tokens=8192, row=256, longest=4096</c>, or null if no model
    /// generates text. Of several models, the one with the smallest cache counts: the gateway does not know which of
    /// them a text uses.
    /// </summary>
    public static string? Describe(IEnumerable<LoadedModel> models)
    {
        var smallest = models.Select(m => m.Generator).OfType<Generation.TextGenerator>().MinBy(g => g.TokenRoom);
        return smallest is null
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"tokens={smallest.TokenRoom}, ")
                + string.Create(CultureInfo.InvariantCulture, $"{smallest.CacheUnit}, longest={smallest.Context}");
    }
}
