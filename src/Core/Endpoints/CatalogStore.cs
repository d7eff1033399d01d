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
}

/// <summary>Answer to a change; <see cref="Name"/> is the other entry that stands in its way.</summary>
public readonly record struct CatalogChange(CatalogRefusal Refusal, string Name = "");

/// <summary>Everything declared, with its origin, at one version of the catalog.</summary>
public sealed record CatalogState(long Version, Catalog Catalog, IReadOnlyDictionary<string, Origin> TemplateOrigins,
    IReadOnlyDictionary<string, Origin> EndpointOrigins)
{
    public static CatalogState Empty { get; } = new(-1, Catalog.Empty, new Dictionary<string, Origin>(),
        new Dictionary<string, Origin>());
}

/// <summary>Templates and endpoints in Redis.</summary>
public sealed class CatalogStore(RedisStore redis)
{
    /// <summary>Pub/sub channel; the message is the new version.</summary>
    public const string Channel = "sluice:catalog";

    private static readonly Script Put = Script.Load("catalog-put");
    private static readonly Script Delete = Script.Load("catalog-delete");
    private static readonly Script FromManifest = Script.Load("catalog-manifest");

    // One hash tag: these three are written together.
    private static readonly RedisKey Templates = "sluice:{catalog}:templates";
    private static readonly RedisKey Endpoints = "sluice:{catalog}:endpoints";
    private static readonly RedisKey Version = "sluice:{catalog}:version";
    private static readonly RedisKey[] Keys = [Templates, Endpoints, Version];

    public async Task<long> VersionAsync(CancellationToken ct) =>
        (long)await redis.Database.StringGetAsync(Version).WaitAsync(ct);

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

    public Task<CatalogChange> PutAsync(Template template, CancellationToken ct) => RunAsync(Put, ct, "template",
        template.Name, Declarations.Write(template, DeclarationJson.Template), "");

    public Task<CatalogChange> PutAsync(Endpoint endpoint, CancellationToken ct) => RunAsync(Put, ct, "endpoint",
        endpoint.Id, Declarations.Write(endpoint, DeclarationJson.Endpoint), endpoint.Template);

    public Task<CatalogChange> DeleteTemplateAsync(string name, CancellationToken ct) =>
        RunAsync(Delete, ct, "template", name);

    public Task<CatalogChange> DeleteEndpointAsync(string id, CancellationToken ct) =>
        RunAsync(Delete, ct, "endpoint", id);

    /// <summary>Makes the manifest's declarations the declared ones.</summary>
    public Task<CatalogChange> ReplaceManifestAsync(ManifestFile file, CancellationToken ct) => RunAsync(FromManifest, ct,
    [
        file.Templates.Count,
        .. file.Templates.SelectMany(t => new RedisValue[]
            { t.Name, Declarations.Write(t, DeclarationJson.Template) }),
        .. file.Endpoints.SelectMany(e => new RedisValue[]
            { e.Id, Declarations.Write(e, DeclarationJson.Endpoint) }),
    ]);

    private async Task<CatalogChange> RunAsync(Script script, CancellationToken ct, params RedisValue[] args)
    {
        var answer = (string)await script.RunAsync(redis.Database, Keys, args).WaitAsync(ct);
        var name = answer.Contains(':', StringComparison.Ordinal) ? answer[(answer.IndexOf(':', StringComparison.Ordinal) + 1)..] : "";
        return new CatalogChange(answer.Split(':')[0] switch
        {
            "ok" or "same" => CatalogRefusal.None,
            "manifest" => CatalogRefusal.OwnedByManifest,
            "no-template" => CatalogRefusal.NoTemplate,
            "used" => CatalogRefusal.InUse,
            "unknown" => CatalogRefusal.Unknown,
            "clash" => CatalogRefusal.Clash,
            _ => throw new InvalidOperationException($"script {script.Name} answered {answer}"),
        }, name);
    }

    private static T Parse<T>(string stored, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) =>
        JsonSerializer.Deserialize(stored[(stored.IndexOf('\n', StringComparison.Ordinal) + 1)..], type)!;

    private static Origin OriginOf(string stored) =>
        stored.StartsWith("manifest\n", StringComparison.Ordinal) ? Origin.Manifest : Origin.Api;
}
