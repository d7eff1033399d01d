using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Catalog;

/// <summary>Stores templates and endpoints in Redis.</summary>
public sealed class CatalogStore(RedisStore redis)
{
    /// <summary>Pub/sub channel. The message is the new version.</summary>
    public const string Channel = "sluice:catalog";

    private static readonly Script Put = Script.Load("catalog-put");
    private static readonly Script Delete = Script.Load("catalog-delete");
    private static readonly Script Forgotten = Script.Load("catalog-forgotten");
    private static readonly Script FromManifest = Script.Load("catalog-manifest");
    private static readonly Script Apply = Script.Load("catalog-apply");

    // The keys share one hash tag, because scripts write them together.
    private static readonly RedisKey Templates = "sluice:{catalog}:templates";
    private static readonly RedisKey Endpoints = "sluice:{catalog}:endpoints";
    private static readonly RedisKey Version = "sluice:{catalog}:version";
    private static readonly RedisKey Source = "sluice:{catalog}:source";
    private static readonly RedisKey Deleted = "sluice:{catalog}:deleted";
    private static readonly RedisKey RevisionsKey = "sluice:{catalog}:revisions";
    private static readonly RedisKey[] Keys = [Templates, Endpoints, Version, Deleted, RevisionsKey];

    /// <summary>
    /// Returns the version of the catalog; empty if nothing is declared. The version is random and not a counter: a
    /// Redis that lost its last writes would count to the same number again, and gateways would keep outdated
    /// declarations.
    /// </summary>
    public async Task<string> VersionAsync(CancellationToken ct) =>
        (string?)await redis.Database.StringGetAsync(Version).WaitAsync(ct) ?? "";

    /// <summary>Reads all declarations at one moment.</summary>
    /// <param name="ct">Cancels the wait.</param>
    /// <param name="last">The last reading. What has not changed since is taken from it.</param>
    public async Task<CatalogState> ReadAsync(CancellationToken ct, CatalogState? last = null)
    {
        var known = last ?? CatalogState.Empty;
        var reading = redis.Database.CreateTransaction();
        var version = reading.StringGetAsync(Version);
        var templates = reading.HashGetAllAsync(Templates);
        var endpoints = reading.HashGetAllAsync(Endpoints);
        await reading.ExecuteAsync().WaitAsync(ct);
        var readTemplates = Array.ConvertAll(await templates, t => Read(
            t, known.Templates, name => known.Catalog.Templates.GetValueOrDefault(name), DeclarationJson.Template));
        var readEndpoints = Array.ConvertAll(await endpoints, e => Read(
            e, known.Endpoints, id => known.Catalog.Find(id)?.Endpoint, DeclarationJson.Endpoint));
        return new CatalogState((string?)await version ?? "",
            new EndpointCatalog(readTemplates.Select(t => t.Value), readEndpoints.Select(e => e.Value)),
            readTemplates.ToDictionary(t => t.Name, t => t.Entry),
            readEndpoints.ToDictionary(e => e.Name, e => e.Entry));
    }

    /// <summary>Returns the ids of all endpoints, including endpoints with unreadable declarations.</summary>
    public async Task<IReadOnlyList<string>> EndpointsAsync() =>
        Array.ConvertAll(await redis.Database.HashKeysAsync(Endpoints), id => (string)id!);

    /// <summary>Creates or replaces a template.</summary>
    /// <param name="template">The declaration.</param>
    /// <param name="ct">Cancels the wait.</param>
    /// <param name="condition">Under which conditions it is stored; null: always.</param>
    public Task<CatalogChange> PutAsync(Template template, CancellationToken ct, PutCondition? condition = null) =>
        PutAsync("template", template.Name, DeclarationSerializer.Write(template, DeclarationJson.Template), "",
            condition, ct);

    /// <summary>Creates or replaces an endpoint. The parameters are the same as for a template.</summary>
    public Task<CatalogChange> PutAsync(Endpoint endpoint, CancellationToken ct, PutCondition? condition = null) =>
        PutAsync("endpoint", endpoint.Id, DeclarationSerializer.Write(endpoint, DeclarationJson.Endpoint),
            endpoint.Template, condition, ct);

    /// <summary>Deletes a template.</summary>
    /// <param name="name">The name.</param>
    /// <param name="ct">Cancels the wait.</param>
    /// <param name="dryRun">Checks the change without making it.</param>
    /// <param name="expected">The tag of the declaration that is deleted; empty: any.</param>
    public Task<CatalogChange> DeleteTemplateAsync(
        string name, CancellationToken ct, bool dryRun = false, string expected = "") =>
        RunAsync(Delete, Keys, ct, "template", name, dryRun ? 1 : 0, expected);

    /// <summary>Deletes an endpoint. The parameters are the same as for a template.</summary>
    public Task<CatalogChange> DeleteEndpointAsync(
        string id, CancellationToken ct, bool dryRun = false, string expected = "") =>
        RunAsync(Delete, Keys, ct, "endpoint", id, dryRun ? 1 : 0, expected);

    /// <summary>Creates or replaces several declarations: all of them or none.</summary>
    /// <param name="file">The declarations.</param>
    /// <param name="by">Who makes the change, for the revisions.</param>
    /// <param name="ct">Cancels the wait.</param>
    public Task<CatalogChange> ApplyAsync(ManifestFile file, string by, CancellationToken ct) =>
        RunAsync(Apply, Keys, ct, [by, file.Templates.Count,
            .. file.Templates.SelectMany(t => new RedisValue[]
                { t.Name, DeclarationSerializer.Write(t, DeclarationJson.Template), "" }),
            .. file.Endpoints.SelectMany(e => new RedisValue[]
                { e.Id, DeclarationSerializer.Write(e, DeclarationJson.Endpoint), e.Template })]);

    /// <summary>Returns the last declarations of a template, the newest first; the first is the current one.</summary>
    public Task<IReadOnlyList<Revision>> TemplateRevisionsAsync(string name, CancellationToken ct) =>
        RevisionsAsync($"template:{name}", ct);

    /// <summary>Returns the last declarations of an endpoint, the newest first; the first is the current one.</summary>
    public Task<IReadOnlyList<Revision>> EndpointRevisionsAsync(string id, CancellationToken ct) =>
        RevisionsAsync($"endpoint:{id}", ct);

    private async Task<IReadOnlyList<Revision>> RevisionsAsync(string field, CancellationToken ct)
    {
        var stored = (string?)await redis.Database.HashGetAsync(RevisionsKey, field).WaitAsync(ct);
        if (stored is null) return [];
        return [.. JsonNode.Parse(stored)!.AsArray().Select(r => new Revision(
            r!["id"]!.GetValue<double>().ToString("F0", CultureInfo.InvariantCulture),
            DateTimeOffset.FromUnixTimeMilliseconds((long)r["id"]!.GetValue<double>()),
            (string)r["by"]!, JsonNode.Parse((string)r["json"]!)!.AsObject()))];
    }

    private Task<CatalogChange> PutAsync(
        string kind, string name, string json, string template, PutCondition? given, CancellationToken ct)
    {
        var condition = given ?? new PutCondition();
        return RunAsync(Put, Keys, ct, kind, name, json, template, condition.Create ? 1 : 0,
            condition.DryRun ? 1 : 0, condition.By, condition.Expected);
    }

    /// <summary>Returns deleted endpoints whose data may still exist, with the tokens of their deletions.</summary>
    public async Task<IReadOnlyDictionary<string, string>> DeletedAsync(CancellationToken ct)
    {
        var deleted = await redis.Database.HashGetAllAsync(Deleted).WaitAsync(ct);
        return deleted.ToDictionary(e => (string)e.Name!, e => (string)e.Value!);
    }

    /// <summary>Marks a deletion as complete, after all its data was deleted.</summary>
    public Task CompleteDeletionAsync(string id, string deletion, CancellationToken ct) =>
        Forgotten.RunAsync(redis.Database, [Deleted], [id, deletion]).WaitAsync(ct);

    /// <summary>Replaces the declarations of the previous manifest with those of a new one.</summary>
    /// <param name="file">The declarations.</param>
    /// <param name="ct">Cancels the wait.</param>
    /// <param name="host">The host of the manifest file.</param>
    public Task<CatalogChange> ReplaceManifestAsync(ManifestFile file, CancellationToken ct, string host = "")
    {
        var entries = Entries(file);
        return RunAsync(FromManifest, [Templates, Endpoints, Version, Deleted, Source, RevisionsKey], ct,
            [Digest(entries), host, file.Templates.Count, .. entries]);
    }

    /// <summary>Returns the manifest that was applied last; null if there is none.</summary>
    public async Task<ManifestSource?> ManifestSourceAsync(CancellationToken ct)
    {
        var source = (string?)await redis.Database.StringGetAsync(Source).WaitAsync(ct);
        return source?.Split('|') is [var digest, var host, var ms]
            && long.TryParse(ms, NumberStyles.None, CultureInfo.InvariantCulture, out var at)
                ? new ManifestSource(digest, host, DateTimeOffset.FromUnixTimeMilliseconds(at))
                : null;
    }

    /// <summary>
    /// Returns a digest of the declarations of a manifest. Comments and the order of fields do not change it.
    /// </summary>
    public static string Digest(ManifestFile file) => Digest(Entries(file));

    private static string Digest(IEnumerable<RedisValue> entries) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', entries))));

    private static RedisValue[] Entries(ManifestFile file) =>
    [
        .. file.Templates.SelectMany(t => new RedisValue[]
            { t.Name, DeclarationSerializer.Write(t, DeclarationJson.Template) }),
        .. file.Endpoints.SelectMany(e => new RedisValue[]
            { e.Id, DeclarationSerializer.Write(e, DeclarationJson.Endpoint) }),
    ];

    private async Task<CatalogChange> RunAsync(
        Script script, RedisKey[] keys, CancellationToken ct, params RedisValue[] args)
    {
        RedisValue[] all = [Guid.NewGuid().ToString("N"), .. args];
        var answer = (await script.RunAsync(redis.Database, keys, all).WaitAsync(ct)).Text();
        var colon = answer.IndexOf(':', StringComparison.Ordinal);
        var name = colon >= 0 ? answer[(colon + 1)..] : "";
        return new CatalogChange(answer.Split(':')[0] switch
        {
            "ok" or "same" or "created" => CatalogRefusal.None,
            "exists" => CatalogRefusal.Exists,
            "manifest" => CatalogRefusal.OwnedByManifest,
            "no-template" => CatalogRefusal.NoTemplate,
            "used" => CatalogRefusal.InUse,
            "unknown" => CatalogRefusal.Unknown,
            "clash" => CatalogRefusal.Clash,
            "changed" => CatalogRefusal.Changed,
            "deleting" => CatalogRefusal.Deleting,
            _ => throw new InvalidOperationException(
                $"The result of script {script.Name} is '{answer}'; expected a documented result."),
        }, name, answer == "created");
    }

    private static (string Name, T Value, CatalogEntry Entry) Read<T>(
        HashEntry field,
        IReadOnlyDictionary<string, CatalogEntry> known,
        Func<string, T?> find,
        System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
        where T : class
    {
        var (name, stored) = ((string)field.Name!, (string)field.Value!);
        if (known.GetValueOrDefault(name) is { } entry && entry.Stored == stored && find(name) is { } same)
            return (name, same, entry);
        var json = stored[(stored.IndexOf('\n', StringComparison.Ordinal) + 1)..];
        return (name, JsonSerializer.Deserialize(json, type)!, EntryOf(stored));
    }

    /// <summary>Returns the tag of a declaration: it changes with its text, and scripts compute the same.</summary>
    [SuppressMessage("Security", "CA5350", Justification = "The tag detects concurrent changes; Redis has SHA-1 only.")]
    private static string TagOf(string json) =>
        Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes(json)));

    private static CatalogEntry EntryOf(string stored)
    {
        var end = stored.IndexOf('\n', StringComparison.Ordinal);
        return new CatalogEntry(stored.AsSpan(0, end) is "manifest" ? Origin.Manifest : Origin.Api,
            TagOf(stored[(end + 1)..])) { Stored = stored };
    }
}
