using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
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

    // The keys share one hash tag, because scripts write them together.
    private static readonly RedisKey Templates = "sluice:{catalog}:templates";
    private static readonly RedisKey Endpoints = "sluice:{catalog}:endpoints";
    private static readonly RedisKey Version = "sluice:{catalog}:version";
    private static readonly RedisKey Source = "sluice:{catalog}:source";
    private static readonly RedisKey Deleted = "sluice:{catalog}:deleted";
    private static readonly RedisKey[] Keys = [Templates, Endpoints, Version, Deleted];

    /// <summary>
    /// Returns the version of the catalog; empty if nothing is declared. The version is random and not a counter: a
    /// Redis that lost its last writes would count to the same number again, and gateways would keep outdated
    /// declarations.
    /// </summary>
    public async Task<string> VersionAsync(CancellationToken ct) =>
        (string?)await redis.Database.StringGetAsync(Version).WaitAsync(ct) ?? "";

    /// <summary>Reads all declarations.</summary>
    public async Task<CatalogState> ReadAsync(CancellationToken ct)
    {
        var version = await VersionAsync(ct);
        var templates = await redis.Database.HashGetAllAsync(Templates).WaitAsync(ct);
        var endpoints = await redis.Database.HashGetAllAsync(Endpoints).WaitAsync(ct);
        return new CatalogState(version,
            new EndpointCatalog(templates.Select(t => Parse(t.Value!, DeclarationJson.Template)),
                endpoints.Select(e => Parse(e.Value!, DeclarationJson.Endpoint))),
            templates.ToDictionary(t => (string)t.Name!, t => OriginOf(t.Value!)),
            endpoints.ToDictionary(e => (string)e.Name!, e => OriginOf(e.Value!)));
    }

    /// <summary>Returns the ids of all endpoints, including endpoints with unreadable declarations.</summary>
    public async Task<IReadOnlyList<string>> EndpointsAsync() =>
        Array.ConvertAll(await redis.Database.HashKeysAsync(Endpoints), id => (string)id!);

    /// <summary>Creates or replaces a template.</summary>
    /// <param name="template">The declaration.</param>
    /// <param name="ct">Cancels the wait.</param>
    /// <param name="create">Rejects the change if a template of this name exists.</param>
    /// <param name="dryRun">Checks the change without storing it.</param>
    public Task<CatalogChange> PutAsync(
        Template template, CancellationToken ct, bool create = false, bool dryRun = false) =>
        RunAsync(Put, Keys, ct, "template", template.Name,
            DeclarationSerializer.Write(template, DeclarationJson.Template), "",
            create ? 1 : 0, dryRun ? 1 : 0);

    /// <summary>Creates or replaces an endpoint. The parameters are the same as for a template.</summary>
    public Task<CatalogChange> PutAsync(
        Endpoint endpoint, CancellationToken ct, bool create = false, bool dryRun = false) =>
        RunAsync(Put, Keys, ct, "endpoint", endpoint.Id,
            DeclarationSerializer.Write(endpoint, DeclarationJson.Endpoint),
            endpoint.Template, create ? 1 : 0, dryRun ? 1 : 0);

    public Task<CatalogChange> DeleteTemplateAsync(string name, CancellationToken ct, bool dryRun = false) =>
        RunAsync(Delete, Keys, ct, "template", name, dryRun ? 1 : 0);

    public Task<CatalogChange> DeleteEndpointAsync(string id, CancellationToken ct, bool dryRun = false) =>
        RunAsync(Delete, Keys, ct, "endpoint", id, dryRun ? 1 : 0);

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
        return RunAsync(FromManifest, [.. Keys, Source], ct, [Digest(entries), host, file.Templates.Count, .. entries]);
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
            "deleting" => CatalogRefusal.Deleting,
            _ => throw new InvalidOperationException(
                $"The result of script {script.Name} is '{answer}'; expected a documented result."),
        }, name, answer == "created");
    }

    private static T Parse<T>(string stored, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) =>
        JsonSerializer.Deserialize(stored[(stored.IndexOf('\n', StringComparison.Ordinal) + 1)..], type)!;

    private static Origin OriginOf(string stored) =>
        stored.StartsWith("manifest\n", StringComparison.Ordinal) ? Origin.Manifest : Origin.Api;
}
