using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Sluice.Domain.Declarations;
using Sluice.Models.Cache;
using Sluice.Models.Downloads;
using Sluice.Models.Sources;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Models;

/// <summary>Models in images: a registry on loopback that requires a token, as public registries do.</summary>
public sealed class OciTest : IDisposable
{
    private const string ManifestType = "application/vnd.oci.image.manifest.v1+json";

    private readonly ModelServer server = new();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-oci-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string Registry => server.Uri.Authority;

    public void Dispose()
    {
        server.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task The_folder_of_the_model_is_the_result_of_all_layers()
    {
        Serve(
            [("etc/passwd", "x"), ("models/1/model.onnx", "old"), ("models/gone.txt", "x"), ("models/dir/a", "x")],
            [("models/1/model.onnx", "new"), ("models/.wh.gone.txt", ""), ("models/dir/.wh..wh..opq", ""),
                ("models/dir/b", "y"), ("usr/link", null)]);
        using var store = Store();
        using var lease = await AcquireAsync(store);
        Assert.Equal(["1/model.onnx", "dir/b"], Directory
            .EnumerateFiles(lease.Folder, "*", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(lease.Folder, f)).Order());
        Assert.Equal("new", await File.ReadAllTextAsync(Path.Combine(lease.Folder, "1/model.onnx"), Stop));
        Assert.StartsWith("sha256:", store.List()[0].Model!.Revision, StringComparison.Ordinal);
        Assert.Contains(server.Requests, r => r.Path == "/token"
            && r.Query.Contains("scope=repository%3Aowner%2Fmodel%3Apull", StringComparison.Ordinal)
            && r.Headers["Authorization"] == $"Basic {Convert.ToBase64String("ann:secret"u8)}");
    }

    [Theory]
    [InlineData(".wh.models")]
    [InlineData(".wh..wh..opq")]
    public async Task A_layer_can_delete_the_folder_of_the_model(string whiteout)
    {
        Serve([("models/1/model.onnx", "old"), ("models/a", "x")], [(whiteout, ""), ("models/model.onnx", "new")]);
        using var store = Store();
        using var lease = await AcquireAsync(store);
        Assert.Equal(["model.onnx"], Directory
            .EnumerateFiles(lease.Folder, "*", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(lease.Folder, f)));
    }

    [Fact]
    public async Task A_link_in_the_folder_of_the_model_and_a_path_that_leaves_it_are_rejected()
    {
        Serve([("models/link", null)]);
        using var store = Store();
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store));
        Assert.Contains("expected folders and regular files", failure.Message, StringComparison.Ordinal);

        Serve([("models/../../out", "x")]);
        failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store));
        Assert.Contains(SafePath.Rule, failure.Message, StringComparison.Ordinal);
        Serve([("models/model.onnx", "x")], [("models/sub/.wh...", "")]);
        failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store));
        Assert.Contains(SafePath.Rule, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(store.List(), m => m.Model is not null);
    }

    [Fact]
    public async Task An_image_without_a_model_and_a_layer_with_another_content_are_errors()
    {
        Serve([("etc/passwd", "x")]);
        using var store = Store();
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store));
        Assert.Contains("the image has no files in /models", failure.Message, StringComparison.Ordinal);

        var digest = Serve([("models/model.onnx", "right")]);
        var damaged = Layer([("models/model.onnx", "right")]);
        Assert.Equal(digest, Digest(damaged));
        damaged[^1] ^= 1;
        server.Add($"/v2/owner/model/blobs/{digest}", damaged);
        failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store));
        Assert.Contains($"expected {digest}", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Credentials_of_another_registry_are_not_sent()
    {
        Serve([("models/model.onnx", "x")]);
        using var store = TestModels.Store(folder,
            oci: new OciSettings { Registry = "registry.example.com", User = "ann", Password = "secret" });
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store));
        Assert.Contains("answered 401", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Requests, r => r.Headers.ContainsKey("Authorization"));
    }

    private ModelStore Store() => TestModels.Store(folder,
        oci: new OciSettings { Registry = Registry, User = "ann", Password = "secret" });

    private Task<ModelLease> AcquireAsync(ModelStore store) => store.AcquireAsync(
        new ModelDeclaration { Source = $"oci://{Registry}/owner/model:v1" }, "m", _ => { }, Stop);

    /// <summary>Serves an image for several platforms. Returns the digest of its last layer.</summary>
    private string Serve(params (string Path, string? Content)[][] layers)
    {
        var blobs = layers.Select(Layer).ToList();
        foreach (var blob in blobs) server.Add($"/v2/owner/model/blobs/{Digest(blob)}", blob);
        var listed = blobs.Select(b => $$"""
            {"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{{Digest(b)}}","size":{{b.Length}} }
            """);
        var manifest = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{ManifestType}}","layers":[{{string.Join(',', listed)}}]}""");
        var index = Encoding.UTF8.GetBytes($$"""
            {"schemaVersion":2,"manifests":[
              {"digest":"sha256:{{new string('0', 64)}}","platform":{"os":"linux","architecture":"arm64"} },
              {"digest":"{{Digest(manifest)}}","platform":{"os":"linux","architecture":"amd64"} }]}
            """);
        server.Add("/v2/owner/model/manifests/v1", index);
        server.Add($"/v2/owner/model/manifests/{Digest(manifest)}", manifest);
        server.Override = request =>
        {
            var authorization = request.Headers.GetValueOrDefault("Authorization");
            if (request.Path == "/token")
                return authorization == $"Basic {Convert.ToBase64String("ann:secret"u8)}"
                    ? (200, "", "{\"token\":\"t0ken\"}"u8.ToArray()) : (401, "", []);
            return authorization == "Bearer t0ken" ? null : (401,
                $"WWW-Authenticate: Bearer realm=\"{server.Uri}token\",service=\"registry\","
                + "scope=\"repository:owner/model:pull\"\r\n", []);
        };
        return Digest(blobs[^1]);
    }

    private static string Digest(byte[] content) => $"sha256:{ModelServer.Sha256(content)}";

    /// <summary>A layer; an entry without content is a symbolic link.</summary>
    private static byte[] Layer((string Path, string? Content)[] entries)
    {
        var bytes = new MemoryStream();
        using (var zip = new GZipStream(bytes, CompressionLevel.Fastest, leaveOpen: true))
        using (var writer = new TarWriter(zip))
            foreach (var (path, content) in entries)
                writer.WriteEntry(content is null
                    ? new UstarTarEntry(TarEntryType.SymbolicLink, path) { LinkName = "/etc/passwd" }
                    : new UstarTarEntry(TarEntryType.RegularFile, path)
                    {
                        ModificationTime = DateTimeOffset.UnixEpoch,
                        DataStream = new MemoryStream(Encoding.UTF8.GetBytes(content)),
                    });
        return bytes.ToArray();
    }
}
