using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;
using Sluice.Models.Sources;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Models;

/// <summary>Sources of S3: the signature, and a server that computes each signature itself.</summary>
public sealed class S3Test : IDisposable
{
    private static readonly S3Settings Example = new()
    {
        AccessKeyId = "AKIAIOSFODNN7EXAMPLE",
        SecretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    };

    private readonly ModelServer server = new();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-s3-").FullName;
    private readonly List<string> refused = [];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        server.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>The examples of "Signature Calculations for the Authorization Header" of Amazon S3.</summary>
    [Theory]
    [InlineData("?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")]
    [InlineData("?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
    public void Requests_are_signed_as_in_the_documentation(string query, string signature)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"https://examplebucket.s3.amazonaws.com/{query}");
        S3Signature.Sign(request, Example, new DateTimeOffset(2013, 5, 24, 0, 0, 0, TimeSpan.Zero));
        Assert.Equal("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            + $"SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature={signature}",
            Assert.Single(request.Headers.GetValues("Authorization")));
    }

    [Fact]
    public async Task The_objects_below_a_prefix_are_listed_in_pages_and_downloaded_with_signatures()
    {
        var weights = ModelServer.Content(300_000);
        Serve(("m/1/model.onnx", weights), ("m/a b+c.txt", "x"u8.ToArray()), ("m2/other", "y"u8.ToArray()),
            ("m/folder/", []));
        (server.CutAfter, server.Cuts) = (100_000, 2);
        using var store = Store();
        var model = new ModelDeclaration { Source = "s3://bucket/m" };
        using var lease = await store.AcquireAsync(model, "m", _ => { }, Stop);
        Assert.Equal(weights, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "1/model.onnx"), Stop));
        Assert.Equal("x", await File.ReadAllTextAsync(Path.Combine(lease.Folder, "a b+c.txt"), Stop));
        Assert.Equal(2, Directory.GetFiles(lease.Folder, "*", SearchOption.AllDirectories).Length);
        Assert.Empty(refused);
        Assert.Contains(server.Requests, r => r.Query.Contains("continuation-token", StringComparison.Ordinal));
        Assert.Equal(2, server.Requests.Count(r => r.Headers.ContainsKey("Range")));
    }

    [Fact]
    public async Task One_object_is_the_model_and_a_wrong_secret_is_the_reason()
    {
        Serve(("m/sentiment.onnx", "weights"u8.ToArray()));
        using var store = Store();
        var model = new ModelDeclaration { Source = "s3://bucket/m/sentiment.onnx" };
        using var lease = await store.AcquireAsync(model, "m", _ => { }, Stop);
        Assert.Equal("weights", await File.ReadAllTextAsync(Path.Combine(lease.Folder, "model.onnx"), Stop));

        using var wrong = TestModels.Store(Path.Combine(folder, "wrong"),
            s3: Example with { Endpoint = server.Uri, SecretAccessKey = "another" });
        var failure = await Assert.ThrowsAsync<ModelFailureException>(
            () => wrong.AcquireAsync(model, "m", _ => { }, Stop));
        Assert.Contains("answered 403", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("another", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_checksum_that_the_server_stores_is_compared_also_after_a_cut()
    {
        var weights = ModelServer.Content(300_000);
        Serve(("m.onnx", weights));
        var objects = server.Override;
        server.Override = r => objects(r) ?? (r.Headers.ContainsKey("Range") ? null
            : (200, $"ETag: \"{ModelServer.Sha256(weights)[..16]}\"\r\nx-amz-checksum-sha256: "
                + $"{Convert.ToBase64String(SHA256.HashData("other"u8))}\r\n", weights));
        (server.CutAfter, server.Cuts) = (100_000, 1);
        using var store = Store();
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => store.AcquireAsync(
            new ModelDeclaration { Source = "s3://bucket/m.onnx" }, "m", _ => { }, Stop));
        Assert.Contains("the digest of 300000 bytes is", failure.Message, StringComparison.Ordinal);
    }

    private Sluice.Models.Cache.ModelStore Store() =>
        TestModels.Store(folder, s3: Example with { Endpoint = server.Uri });

    /// <summary>Serves objects, one per page of the list, and refuses requests whose signature is wrong.</summary>
    private void Serve(params (string Key, byte[] Content)[] objects)
    {
        foreach (var (key, content) in objects) server.Add($"/bucket/{key}", content);
        server.Override = request =>
        {
            if (!IsSigned(request))
            {
                lock (refused) refused.Add(request.Target);
                return (403, "", []);
            }

            if (request.Path != "/bucket") return null;
            var query = request.Query.Split('&').Select(p => p.Split('=')).ToDictionary(p => p[0],
                p => Uri.UnescapeDataString(p[1]));
            var listed = objects.Where(o => o.Key.StartsWith(query["prefix"], StringComparison.Ordinal)).ToList();
            var page = int.Parse(query.GetValueOrDefault("continuation-token", "0"), CultureInfo.InvariantCulture);
            var more = page + 1 < listed.Count;
            var next = $"<NextContinuationToken>{page + 1}</NextContinuationToken>";
            var body = $"""
                <?xml version="1.0" encoding="UTF-8"?>
                <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
                {(more ? $"<IsTruncated>true</IsTruncated>{next}" : "")}
                <Contents><Key>{listed[page].Key}</Key><Size>{listed[page].Content.Length}</Size></Contents>
                </ListBucketResult>
                """;
            return (200, "", Encoding.UTF8.GetBytes(body));
        };
    }

    /// <summary>Computes the signature from the request as it arrived.</summary>
    private static bool IsSigned(ServedRequest request)
    {
        var given = request.Headers["Authorization"];
        string Part(string name) => given[(given.IndexOf(name + "=", StringComparison.Ordinal) + name.Length + 1)..]
            .Split(',')[0];
        var (target, names) = (request.Target.Split('?'), Part("SignedHeaders"));
        var canonical = new StringBuilder("GET\n").Append(target[0]).Append('\n')
            .Append(target.Length > 1 ? string.Join('&', target[1].Split('&').Order(StringComparer.Ordinal)) : "")
            .Append('\n');
        foreach (var name in names.Split(';')) canonical.Append($"{name}:{request.Headers[name]}\n");
        canonical.Append('\n').Append(names).Append('\n').Append(request.Headers["x-amz-content-sha256"]);
        var scope = Part("Credential").Split('/', 2)[1];
        var key = Encoding.UTF8.GetBytes("AWS4" + Example.SecretAccessKey);
        foreach (var part in scope.Split('/')) key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part));
        var text = $"AWS4-HMAC-SHA256\n{request.Headers["x-amz-date"]}\n{scope}\n"
            + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical.ToString())));
        return Part("Signature") == Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text)));
    }
}
