using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Endpoints;

/// <summary>Who declared a template or an endpoint. What the manifest declares, only the manifest changes.</summary>
public enum Origin
{
    Api,
    Manifest,
}

/// <summary>Why a change of the catalog was refused.</summary>
public enum CatalogRefusal
{
    None,

    /// <summary>The manifest owns it.</summary>
    OwnedByManifest,

    /// <summary>The endpoint's template does not exist.</summary>
    NoTemplate,

    /// <summary>An endpoint stands on the template.</summary>
    InUse,

    Unknown,

    /// <summary>The API made an entry of the same name.</summary>
    Clash,

    /// <summary>A creation: the name is used.</summary>
    Exists,

    /// <summary>Jobs of an earlier endpoint of this id are still there; see <see cref="EndpointDeletions.MakeFreeAsync"/>.</summary>
    Deleting,
}

/// <summary>Result of a change.</summary>
/// <param name="Refusal">Why nothing was changed, if so.</param>
/// <param name="Name">The entry that prevents the change. Where a manifest would delete a template in use: the template, ':',
/// and the endpoints, separated by ','.</param>
/// <param name="Created">There was no entry of this name before.</param>
public readonly record struct CatalogChange(CatalogRefusal Refusal, string Name = "", bool Created = false);

/// <summary>The manifest that was applied last, by any gateway.</summary>
/// <param name="Digest">Of its declarations.</param>
/// <param name="Host">The host whose file it is.</param>
/// <param name="AppliedAt">When, by Redis' clock.</param>
public sealed record ManifestSource(string Digest, string Host, DateTimeOffset AppliedAt);

/// <summary>Everything declared, with its origin, at one version of the catalog.</summary>
/// <param name="Version">Random, another one after each change; empty: Redis has no declarations; null: it has not been read.</param>
/// <param name="Catalog">What is declared.</param>
/// <param name="TemplateOrigins">By name.</param>
/// <param name="EndpointOrigins">By id.</param>
public sealed record CatalogState(string? Version, Catalog Catalog, IReadOnlyDictionary<string, Origin> TemplateOrigins,
    IReadOnlyDictionary<string, Origin> EndpointOrigins)
{
    /// <summary>Whether Redis was read and has no declarations: it has lost its data, or is new.</summary>
    public bool IsLost => Version is { Length: 0 };

    public static CatalogState Empty { get; } = new(null, Catalog.Empty, new Dictionary<string, Origin>(),
        new Dictionary<string, Origin>());
}

/// <summary>Templates and endpoints in Redis.</summary>
public sealed class CatalogStore(RedisStore redis)
{
    /// <summary>Pub/sub channel; the message is the new version.</summary>
    public const string Channel = "sluice:catalog";

    private static readonly Script Put = Script.Load("catalog-put");
    private static readonly Script Delete = Script.Load("catalog-delete");
    private static readonly Script Forgotten = Script.Load("catalog-forgotten");
    private static readonly Script FromManifest = Script.Load("catalog-manifest");

    // One hash tag: these are written together.
    private static readonly RedisKey Templates = "sluice:{catalog}:templates";
    private static readonly RedisKey Endpoints = "sluice:{catalog}:endpoints";
    private static readonly RedisKey Version = "sluice:{catalog}:version";
    private static readonly RedisKey Source = "sluice:{catalog}:source";
    private static readonly RedisKey Deleted = "sluice:{catalog}:deleted";
    private static readonly RedisKey[] Keys = [Templates, Endpoints, Version, Deleted];

    /// <summary>Another one after each change; empty: nothing was declared. Random, not counted: a Redis that lost its last writes would count to the same
    /// number again, and gateways would keep declarations that are not the present ones.</summary>
    public async Task<string> VersionAsync(CancellationToken ct) => (string?)await redis.Database.StringGetAsync(Version).WaitAsync(ct) ?? "";

    public async Task<CatalogState> ReadAsync(CancellationToken ct)
    {
        var version = await VersionAsync(ct);
        var templates = await redis.Database.HashGetAllAsync(Templates).WaitAsync(ct);
        var endpoints = await redis.Database.HashGetAllAsync(Endpoints).WaitAsync(ct);
        return new CatalogState(version,
            new Catalog(templates.Select(t => Parse(t.Value!, DeclarationJson.Template)),
                endpoints.Select(e => Parse(e.Value!, DeclarationJson.Endpoint))),
            templates.ToDictionary(t => (string)t.Name!, t => OriginOf(t.Value!)),
            endpoints.ToDictionary(e => (string)e.Name!, e => OriginOf(e.Value!)));
    }

    /// <summary>The ids of all endpoints, whether or not their declarations can be read.</summary>
    public async Task<IReadOnlyList<string>> EndpointsAsync() =>
        Array.ConvertAll(await redis.Database.HashKeysAsync(Endpoints), id => (string)id!);

    /// <summary>Creates or replaces a template.</summary>
    /// <param name="template">The declaration.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <param name="create">An existing template of this name is refused.</param>
    /// <param name="dryRun">Only checks.</param>
    public Task<CatalogChange> PutAsync(Template template, CancellationToken ct, bool create = false, bool dryRun = false) => RunAsync(Put, Keys, ct, "template",
        template.Name, Declarations.Write(template, DeclarationJson.Template), "", create ? 1 : 0, dryRun ? 1 : 0);

    /// <summary>Creates or replaces an endpoint; parameters as for a template.</summary>
    public Task<CatalogChange> PutAsync(Endpoint endpoint, CancellationToken ct, bool create = false, bool dryRun = false) => RunAsync(Put, Keys, ct, "endpoint",
        endpoint.Id, Declarations.Write(endpoint, DeclarationJson.Endpoint), endpoint.Template, create ? 1 : 0, dryRun ? 1 : 0);

    public Task<CatalogChange> DeleteTemplateAsync(string name, CancellationToken ct, bool dryRun = false) =>
        RunAsync(Delete, Keys, ct, "template", name, dryRun ? 1 : 0);

    public Task<CatalogChange> DeleteEndpointAsync(string id, CancellationToken ct, bool dryRun = false) =>
        RunAsync(Delete, Keys, ct, "endpoint", id, dryRun ? 1 : 0);

    /// <summary>Endpoints that were deleted and of which something may be left, with the tokens of their deletions.</summary>
    public async Task<IReadOnlyDictionary<string, string>> DeletedAsync(CancellationToken ct) =>
        (await redis.Database.HashGetAllAsync(Deleted).WaitAsync(ct)).ToDictionary(e => (string)e.Name!, e => (string)e.Value!);

    /// <summary>Nothing is left of a deletion.</summary>
    public Task ForgottenAsync(string id, string deletion, CancellationToken ct) =>
        Forgotten.RunAsync(redis.Database, [Deleted], [id, deletion]).WaitAsync(ct);

    /// <summary>Makes the manifest's declarations the declared ones.</summary>
    /// <param name="file">The declarations.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <param name="host">The host whose file it is.</param>
    public Task<CatalogChange> ReplaceManifestAsync(ManifestFile file, CancellationToken ct, string host = "")
    {
        var entries = Entries(file);
        return RunAsync(FromManifest, [.. Keys, Source], ct, [Digest(entries), host, file.Templates.Count, .. entries]);
    }

    /// <summary>The manifest that was applied last; null: none.</summary>
    public async Task<ManifestSource?> ManifestSourceAsync(CancellationToken ct) =>
        ((string?)await redis.Database.StringGetAsync(Source).WaitAsync(ct))?.Split('|') is [var digest, var host, var ms]
            && long.TryParse(ms, NumberStyles.None, CultureInfo.InvariantCulture, out var at)
            ? new ManifestSource(digest, host, DateTimeOffset.FromUnixTimeMilliseconds(at)) : null;

    /// <summary>A digest of what a manifest declares; comments and order of fields make no difference.</summary>
    public static string Digest(ManifestFile file) => Digest(Entries(file));

    private static string Digest(IEnumerable<RedisValue> entries) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', entries))));

    private static RedisValue[] Entries(ManifestFile file) =>
    [
        .. file.Templates.SelectMany(t => new RedisValue[]
            { t.Name, Declarations.Write(t, DeclarationJson.Template) }),
        .. file.Endpoints.SelectMany(e => new RedisValue[]
            { e.Id, Declarations.Write(e, DeclarationJson.Endpoint) }),
    ];

    private async Task<CatalogChange> RunAsync(Script script, RedisKey[] keys, CancellationToken ct, params RedisValue[] args)
    {
        var answer = (string)await script.RunAsync(redis.Database, keys, [Guid.NewGuid().ToString("N"), .. args]).WaitAsync(ct);
        var name = answer.Contains(':', StringComparison.Ordinal) ? answer[(answer.IndexOf(':', StringComparison.Ordinal) + 1)..] : "";
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
            _ => throw new InvalidOperationException($"script {script.Name} answered {answer}"),
        }, name, answer == "created");
    }

    private static T Parse<T>(string stored, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) =>
        JsonSerializer.Deserialize(stored[(stored.IndexOf('\n', StringComparison.Ordinal) + 1)..], type)!;

    private static Origin OriginOf(string stored) =>
        stored.StartsWith("manifest\n", StringComparison.Ordinal) ? Origin.Manifest : Origin.Api;
}
