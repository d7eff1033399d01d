using System.Text.Json.Nodes;

namespace Sluice.Storage.Catalog;

/// <summary>A declaration at one time. The last 20 of each template and endpoint are stored.</summary>
/// <param name="Id">Its name: Unix milliseconds of the change. Later revisions have larger ones.</param>
/// <param name="At">When it was declared, according to the clock of Redis.</param>
/// <param name="By">The id of the key, <c>manifest</c>, or empty if it is older than revisions.</param>
/// <param name="Declaration">The JSON of the template or endpoint.</param>
public sealed record Revision(string Id, DateTimeOffset At, string By, JsonObject Declaration);
