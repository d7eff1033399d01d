namespace Sluice.Testing;

/// <summary>Manifests of these tests: the sample models behind endpoints that go to zero quickly.</summary>
public static class Manifests
{
    public const string Template = """
        templates:
          - name: onnx-cpu
            concurrency: 8

        """;

    public static string With(params string[] endpoints) => Template + "endpoints:\n" + string.Concat(endpoints.Select(e => e + "\n"));

    public static string Endpoint(string id, int max = 3, string idle = "60s", string more = "") =>
        $"  - {{ id: {id}, template: onnx-cpu, scaling: {{ max: {max}, idleTimeout: {idle} }}{(more.Length > 0 ? ", " + more : "")} }}";
}
