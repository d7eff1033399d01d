using Microsoft.Extensions.Logging.Abstractions;
using Sluice.ControlPlane.Manifests;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Storage.Audit;
using Sluice.Storage.Catalog;
using Sluice.Storage.Redis;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Catalog;

/// <summary>Declarations of the API and of the manifest in Redis.</summary>
public sealed class EndpointCatalogTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private readonly CatalogStore store = new(redis.Store);

    public async ValueTask InitializeAsync() => await redis.Store.Database.ExecuteAsync("FLUSHALL");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Stored_declarations_are_read_back_equal()
    {
        var template = new Template
        {
            Name = "t",
            Command = ["a", "{port}"],
            Env = new Dictionary<string, string> { ["A"] = "1" },
            StartTimeout = TimeSpan.FromSeconds(7),
        };
        var endpoint = new Endpoint
        {
            Id = "e",
            Template = "t",
            Public = true,
            Scaling = new ScalePolicy { Scaler = Scaler.QueueDelay, Max = 9 },
        };
        Assert.Equal(CatalogRefusal.None, (await store.PutAsync(template, default)).Refusal);
        Assert.Equal(CatalogRefusal.None, (await store.PutAsync(endpoint, default)).Refusal);

        var read = (await store.ReadAsync(default)).Catalog.Find("e")!;

        Assert.Equal(DeclarationText(template), DeclarationText(read.Template));
        Assert.Equal(DeclarationSerializer.Write(endpoint, DeclarationJson.Endpoint),
            DeclarationSerializer.Write(read.Endpoint, DeclarationJson.Endpoint));
    }

    [Fact]
    public async Task A_declaration_that_has_not_changed_is_not_parsed_again()
    {
        await store.PutAsync(new Template { Name = "t" }, default);
        foreach (var id in new[] { "kept", "changed" }) await store.PutAsync(Endpoint(id), default);
        var first = await store.ReadAsync(default);
        await store.PutAsync(Endpoint("changed") with { Public = true }, default);
        var second = await store.ReadAsync(default, first);
        Assert.Same(first.Catalog.Find("kept")!.Endpoint, second.Catalog.Find("kept")!.Endpoint);
        Assert.True(second.Catalog.Find("changed")!.Endpoint.Public);
        Assert.NotEqual(first.Endpoints["changed"].Tag, second.Endpoints["changed"].Tag);
        await store.PutAsync(new Template { Name = "t", Concurrency = 7 }, default);
        var third = await store.ReadAsync(default, second);
        Assert.Equal(7, third.Catalog.Find("kept")!.Template.Concurrency);
    }

    [Fact]
    public async Task An_endpoint_requires_its_template_and_prevents_its_deletion()
    {
        Assert.Equal(CatalogRefusal.NoTemplate, (await store.PutAsync(Endpoint("e"), default)).Refusal);
        await store.PutAsync(new Template { Name = "t" }, default);
        await store.PutAsync(Endpoint("e"), default);
        Assert.Equal(new CatalogChange(CatalogRefusal.InUse, "e"), await store.DeleteTemplateAsync("t", default));
        Assert.Equal(CatalogRefusal.None, (await store.DeleteEndpointAsync("e", default)).Refusal);
        Assert.Equal(CatalogRefusal.None, (await store.DeleteTemplateAsync("t", default)).Refusal);
        Assert.Equal(CatalogRefusal.Unknown, (await store.DeleteTemplateAsync("t", default)).Refusal);
    }

    [Fact]
    public async Task The_manifest_owns_its_declarations_and_deletes_removed_ones()
    {
        await store.PutAsync(new Template { Name = "mine" }, default);
        await store.ReplaceManifestAsync(
            new ManifestFile { Templates = [new Template { Name = "t" }], Endpoints = [Endpoint("a"), Endpoint("b")] },
            default);
        Assert.Equal(CatalogRefusal.OwnedByManifest, (await store.PutAsync(Endpoint("a"), default)).Refusal);
        Assert.Equal(CatalogRefusal.OwnedByManifest, (await store.DeleteEndpointAsync("a", default)).Refusal);

        await store.ReplaceManifestAsync(
            new ManifestFile { Templates = [new Template { Name = "t" }], Endpoints = [Endpoint("b")] }, default);

        var state = await store.ReadAsync(default);
        Assert.Null(state.Catalog.Find("a"));
        Assert.NotNull(state.Catalog.Find("b"));
        Assert.Equal((Origin.Manifest, Origin.Api), (state.Templates["t"].Origin, state.Templates["mine"].Origin));
    }

    [Fact]
    public async Task A_manifest_that_conflicts_with_the_api_changes_nothing()
    {
        await store.PutAsync(new Template { Name = "t" }, default);
        var before = await store.VersionAsync(default);
        Assert.Equal(new CatalogChange(CatalogRefusal.Clash, "t"), await store.ReplaceManifestAsync(
            new ManifestFile { Templates = [new Template { Name = "other" }, new Template { Name = "t" }] }, default));
        Assert.Equal(before, await store.VersionAsync(default));
    }

    [Fact]
    public async Task An_unchanged_manifest_is_no_change()
    {
        var file = new ManifestFile { Templates = [new Template { Name = "t" }] };
        await store.ReplaceManifestAsync(file, default);
        var before = await store.VersionAsync(default);
        await store.ReplaceManifestAsync(file, default);
        Assert.Equal(before, await store.VersionAsync(default));
    }

    [Fact]
    public async Task A_declaration_of_another_gateway_is_found_before_its_notification_arrives()
    {
        var file = new ManifestFile
        {
            Templates = [new Template { Name = "t" }],
            Endpoints = [new Endpoint { Id = "a", Template = "t" }],
        };
        await store.ReplaceManifestAsync(file, default);
        // The watcher receives no message, like a starting gateway or one with delayed messages.
        using var watcher =
            new CatalogWatcher(redis.Store, store, TimeProvider.System, NullLogger<CatalogWatcher>.Instance);
        Assert.Null(watcher.Current.Find("a"));
        Assert.Equal("t", (await watcher.FindAsync("a", default))!.Template.Name);
        Assert.True(watcher.Loaded.IsCompleted);
        Assert.Null(await watcher.FindAsync("gone", default));
    }

    [Fact]
    public async Task An_invalid_file_keeps_the_old_declarations_and_is_reported()
    {
        var file = Path.GetTempFileName();
        using var watcher =
            new CatalogWatcher(redis.Store, store, TimeProvider.System, NullLogger<CatalogWatcher>.Instance);
        using var loop = Loop(file, watcher, "here");
        await File.WriteAllTextAsync(file, "templates: [{ name: t }]\nendpoints: [{ id: a, template: t }]");
        await loop.TickAsync(default);
        Assert.NotNull(watcher.Current.Find("a"));

        await File.WriteAllTextAsync(file, "templates: [{ name: t }]\nendpoints: [{ id: a, template: gone }]");
        await loop.TickAsync(default);
        await loop.TickAsync(default);
        Assert.Equal("t", watcher.Current.Find("a")!.Template.Name);
        Assert.Contains("endpoints[0].template is gone", Assert.Single(loop.Errors), StringComparison.Ordinal);

        // A partially saved file is read once and never applied.
        await File.WriteAllTextAsync(file, "");
        await loop.TickAsync(default);
        Assert.NotNull(watcher.Current.Find("a"));
        await File.WriteAllTextAsync(file, "templates: [{ name: t }]\nendpoints: [{ id: b, template: t }]");
        await loop.TickAsync(default);
        Assert.NotNull(watcher.Current.Find("a"));
        await loop.TickAsync(default);
        Assert.Empty(loop.Errors);
        Assert.NotNull(watcher.Current.Find("b"));
        File.Delete(file);
    }

    [Theory]
    [InlineData("", "(file) is empty; expected 'templates' and 'endpoints'")]
    [InlineData("# only a comment\n", "(file) is empty")]
    [InlineData("templates: [{ name: t }]\n",
        "endpoints is missing, but the applied manifest declares a. Add the section, or write 'endpoints: []'")]
    [InlineData("endpoints: []\n", "templates is missing, but the applied manifest declares t.")]
    [InlineData("templates: [{ name: t }]\nendpoints:\n", "endpoints is null")]
    [InlineData("templates: [{ name: t }]\nendpoints: [{ id: a, templ", "YAML")]
    [InlineData("templates: [{ name: t }]\nendpoints: []\n", "The last line '...' is missing, which the previous")]
    [InlineData(null, "Could not find file")]
    public async Task A_manifest_that_is_empty_missing_or_truncated_changes_nothing_and_is_reported(
        string? text, string reported)
    {
        var file = Path.GetTempFileName();
        using var watcher =
            new CatalogWatcher(redis.Store, store, TimeProvider.System, NullLogger<CatalogWatcher>.Instance);
        using var loop = Loop(file, watcher, "here");
        var marker = reported.Contains("...", StringComparison.Ordinal) ? "...\n" : "";
        await File.WriteAllTextAsync(file, "templates: [{ name: t }]\nendpoints: [{ id: a, template: t }]\n" + marker);
        await loop.TickAsync(default);
        Assert.NotNull(watcher.Current.Find("a"));

        if (text is null) File.Delete(file);
        else await File.WriteAllTextAsync(file, text);
        await loop.TickAsync(default);
        await loop.TickAsync(default);

        await watcher.RefreshAsync(default);
        Assert.NotNull(watcher.Current.Find("a"));
        Assert.Contains(reported, Assert.Single(loop.Errors), StringComparison.Ordinal);
        File.Delete(file);
    }

    [Fact]
    public async Task A_manifest_that_would_delete_a_template_of_api_endpoints_changes_nothing()
    {
        var file = Path.GetTempFileName();
        using var watcher =
            new CatalogWatcher(redis.Store, store, TimeProvider.System, NullLogger<CatalogWatcher>.Instance);
        using var loop = Loop(file, watcher, "here");
        await File.WriteAllTextAsync(file, "templates: [{ name: t }, { name: u }]\nendpoints: []");
        await loop.TickAsync(default);
        await store.PutAsync(Endpoint("mine"), default);
        await store.PutAsync(Endpoint("also"), default);

        await File.WriteAllTextAsync(file, "templates: [{ name: u }]\nendpoints: []");
        await loop.TickAsync(default);
        await loop.TickAsync(default);

        await watcher.RefreshAsync(default);
        Assert.NotNull(watcher.Current.Find("mine"));
        Assert.Contains("template 't' is missing, and these endpoints of the API use it: also, mine;",
            Assert.Single(loop.Errors), StringComparison.Ordinal);
        File.Delete(file);
    }

    [Fact]
    public async Task A_gateway_reports_that_another_manifest_replaced_its_own()
    {
        var (file, other) = (Path.GetTempFileName(), Path.GetTempFileName());
        using var watcher =
            new CatalogWatcher(redis.Store, store, TimeProvider.System, NullLogger<CatalogWatcher>.Instance);
        using var here = Loop(file, watcher, "here");
        using var there = Loop(other, watcher, "there");
        const string text = "templates: [{ name: t }]\nendpoints: [{ id: a, template: t }]";
        await File.WriteAllTextAsync(file, text);
        await File.WriteAllTextAsync(other, text + "\n# the same declarations");
        foreach (var loop in new[] { here, there, here }) await loop.TickAsync(default);
        Assert.Empty(here.Errors);

        await File.WriteAllTextAsync(other, "templates: [{ name: t }]\nendpoints: [{ id: b, template: t }]");
        foreach (var loop in new[] { there, there, here, there }) await loop.TickAsync(default);
        Assert.Contains("the manifest of host there has other declarations and was applied later",
            Assert.Single(here.Errors), StringComparison.Ordinal);
        Assert.Empty(there.Errors);

        await File.WriteAllTextAsync(file, "templates: [{ name: t }]\nendpoints: [{ id: b, template: t }]");
        foreach (var loop in new[] { here, here, there }) await loop.TickAsync(default);
        Assert.Empty(here.Errors);
        Assert.Empty(there.Errors);
        foreach (var path in new[] { file, other }) File.Delete(path);
    }

    [Fact]
    public async Task A_creation_does_not_replace_and_a_dry_run_changes_nothing()
    {
        var (create, dryRun) = (new PutCondition { Create = true }, new PutCondition { DryRun = true });
        Assert.True(
            (await store.PutAsync(new Template { Name = "t" }, default, create with { DryRun = true })).Created);
        Assert.Equal(CatalogRefusal.NoTemplate, (await store.PutAsync(Endpoint("e"), default, create)).Refusal);
        Assert.True((await store.PutAsync(new Template { Name = "t" }, default, create)).Created);
        Assert.Equal(CatalogRefusal.Exists,
            (await store.PutAsync(new Template { Name = "t", Concurrency = 3 }, default, create)).Refusal);
        Assert.Equal(new CatalogChange(CatalogRefusal.None),
            await store.PutAsync(new Template { Name = "t", Concurrency = 4 }, default, dryRun));
        Assert.Equal(new CatalogChange(CatalogRefusal.None),
            await store.DeleteTemplateAsync("t", default, dryRun: true));
        Assert.Equal(new Template { Name = "t" }.Concurrency,
            (await store.ReadAsync(default)).Catalog.Templates["t"].Concurrency);
    }

    [Fact]
    public async Task A_change_is_stored_only_if_it_replaces_the_expected_declaration()
    {
        await store.PutAsync(new Template { Name = "t" }, default);
        var tag = (await store.ReadAsync(default)).Templates["t"].Tag;
        var expected = new PutCondition { Expected = tag };
        Assert.Equal(CatalogRefusal.None,
            (await store.PutAsync(new Template { Name = "t", Concurrency = 2 }, default, expected)).Refusal);
        Assert.Equal(CatalogRefusal.Changed,
            (await store.PutAsync(new Template { Name = "t", Concurrency = 3 }, default, expected)).Refusal);
        Assert.Equal(CatalogRefusal.Changed,
            (await store.DeleteTemplateAsync("t", default, expected: tag)).Refusal);
        Assert.Equal(CatalogRefusal.Changed,
            (await store.PutAsync(new Template { Name = "u" }, default, expected)).Refusal);
        var state = await store.ReadAsync(default);
        Assert.Equal((2, 1), (state.Catalog.Templates["t"].Concurrency, state.Templates.Count));
    }

    [Fact]
    public async Task The_last_20_declarations_of_a_name_are_stored_until_it_is_deleted()
    {
        for (var n = 1; n <= 23; n++)
            await store.PutAsync(
                new Template { Name = "t", Concurrency = n }, default, new PutCondition { By = $"key{n}" });
        var revisions = await store.TemplateRevisionsAsync("t", default);
        Assert.Equal(Enumerable.Range(4, 20).Reverse().Select(n => ($"key{n}", n)),
            revisions.Select(r => (r.By, (int)r.Declaration["concurrency"]!)));
        Assert.Equal(20, revisions.Select(r => r.Id).Distinct().Count());
        await store.DeleteTemplateAsync("t", default);
        Assert.Empty(await store.TemplateRevisionsAsync("t", default));
    }

    [Fact]
    public async Task Applied_declarations_are_stored_all_or_none()
    {
        await store.ReplaceManifestAsync(new ManifestFile { Templates = [new Template { Name = "m" }] }, default);
        var refused = await store.ApplyAsync(new ManifestFile
        {
            Templates = [new Template { Name = "t" }, new Template { Name = "m", Concurrency = 3 }],
        }, "key", default);
        Assert.Equal(new CatalogChange(CatalogRefusal.OwnedByManifest, "m"), refused);
        Assert.Equal(new CatalogChange(CatalogRefusal.NoTemplate, "e"),
            await store.ApplyAsync(new ManifestFile { Endpoints = [Endpoint("e")] }, "key", default));
        Assert.Equal(["m"], (await store.ReadAsync(default)).Templates.Keys);

        var applied = new ManifestFile
        {
            Templates = [new Template { Name = "t" }, new Template { Name = "m" }], Endpoints = [Endpoint("e")],
        };
        Assert.Equal(CatalogRefusal.None, (await store.ApplyAsync(applied, "key", default)).Refusal);
        var version = await store.VersionAsync(default);
        Assert.Equal(CatalogRefusal.None, (await store.ApplyAsync(applied, "key", default)).Refusal);
        Assert.Equal(version, await store.VersionAsync(default));
        Assert.Equal("key", Assert.Single(await store.EndpointRevisionsAsync("e", default)).By);
    }

    private ManifestLoop Loop(string file, CatalogWatcher watcher, string host) =>
        new(new ManifestOptions(file), store, watcher, EndpointDeletionsTest.Deletions(redis.Store),
            new AuditStore(redis.Store), new HostId(host), TimeProvider.System, NullLogger<ManifestLoop>.Instance);

    [Fact]
    public async Task After_Redis_lost_its_last_writes_no_gateway_keeps_an_outdated_declaration()
    {
        using var watcher =
            new CatalogWatcher(redis.Store, store, TimeProvider.System, NullLogger<CatalogWatcher>.Instance);
        await store.PutAsync(new Template { Name = "t" }, default);
        await store.PutAsync(Endpoint("e") with { Public = true }, default);
        await watcher.RefreshAsync(default);
        var copy = redis.CopyLog();
        await store.PutAsync(Endpoint("other"), default);
        await watcher.RefreshAsync(default);
        await redis.RollBackAsync(copy);

        // Makes as many changes as were lost.
        await AfterRollbackAsync(() => store.PutAsync(Endpoint("e") with { Public = false }, default));
        await watcher.RefreshAsync(default);
        Assert.False(watcher.Current.Find("e")!.Endpoint.Public);
        Assert.Null(watcher.Current.Find("other"));
    }

    [Fact]
    public async Task A_manifest_lost_by_Redis_is_applied_again_but_a_replaced_one_is_not()
    {
        var file = Path.GetTempFileName();
        using var watcher =
            new CatalogWatcher(redis.Store, store, TimeProvider.System, NullLogger<CatalogWatcher>.Instance);
        using var loop = Loop(file, watcher, "here");
        await WriteAsync("public: true");
        var copy = redis.CopyLog();
        await WriteAsync("public: false");
        Assert.False(watcher.Current.Find("a")!.Endpoint.Public);
        await redis.RollBackAsync(copy);

        await AfterRollbackAsync(() => watcher.RefreshAsync(default));
        Assert.True(watcher.Current.Find("a")!.Endpoint.Public);
        await loop.TickAsync(default);
        Assert.False(watcher.Current.Find("a")!.Endpoint.Public);
        // Another gateway has a newer file.
        await store.ReplaceManifestAsync(
            new ManifestFile { Templates = [new Template { Name = "t" }], Endpoints = [Endpoint("b")] }, default);
        await watcher.RefreshAsync(default);
        await loop.TickAsync(default);
        Assert.NotNull(watcher.Current.Find("b"));
        File.Delete(file);

        async Task WriteAsync(string access)
        {
            await File.WriteAllTextAsync(
                file, $"templates: [{{ name: t }}]\nendpoints: [{{ id: a, template: t, {access} }}]");
            await loop.TickAsync(default);
            await loop.TickAsync(default);
        }
    }

    /// <summary>Retries because the client detects only now that its connection is closed.</summary>
    private static async Task AfterRollbackAsync(Func<Task> call) => await Eventually.HoldsAsync(async () =>
    {
        try
        {
            await call();
            return true;
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            return false;
        }
    }, "Redis answers again");

    private static Endpoint Endpoint(string id) => new() { Id = id, Template = "t" };

    private static string DeclarationText(Template template) => DeclarationSerializer.Write(template, DeclarationJson.Template);
}
