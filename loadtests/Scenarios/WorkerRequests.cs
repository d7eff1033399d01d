using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>Requests to a worker as bytes, and its counters.</summary>
internal static class WorkerRequests
{
    /// <summary>An inference of one row.</summary>
    /// <param name="port">Of the server's HTTP/1.1.</param>
    /// <param name="model">Whose input is called <c>in</c>.</param>
    /// <param name="shape">Of the input.</param>
    /// <param name="binary">Tensors as binary data, in both directions.</param>
    public static Target Infer(int port, string model, int[] shape, bool binary)
    {
        var random = new Random(1);
        var values = Enumerable.Range(0, shape.Aggregate(1, (a, d) => a * d)).Select(_ => (float)random.NextDouble()).ToArray();
        var text = string.Join(',', values.Select(v => v.ToString("R", CultureInfo.InvariantCulture)));
        var data = binary ? $$$"""
            "parameters":{"binary_data_size":{{{4 * values.Length}}}}}],"parameters":{"binary_data_output":true}}
            """ : $$"""
            "data":[{{text}}]}]}
            """;
        var head = $$"""{"inputs":[{"name":"in","datatype":"FP32","shape":[{{string.Join(',', shape)}}],""" + data;
        byte[] body = [.. Encoding.ASCII.GetBytes(head), .. binary ? MemoryMarshal.AsBytes<float>(values) : []];
        var type = binary ? $"application/octet-stream\r\nInference-Header-Content-Length: {head.Length}" : "application/json";
        return new Target(new IPEndPoint(IPAddress.Loopback, port), [.. Encoding.ASCII.GetBytes($"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: x\r\n"
            + $"Content-Type: {type}\r\nAuthorization: Bearer {WorkerProcess.Token}\r\nContent-Length: {body.Length}\r\n\r\n"), .. body]);
    }

    public static async Task<WorkerCounters> CountersAsync(int port, string model, CancellationToken ct)
    {
        using var client = Client(port);
        var lines = (await client.GetStringAsync(new Uri("/metrics", UriKind.Relative), ct)).Split('\n');
        double Value(string start) => lines.Where(l => l.StartsWith(start, StringComparison.Ordinal))
            .Select(l => double.Parse(l.Split(' ')[^1], CultureInfo.InvariantCulture)).Sum();
        return new WorkerCounters(Value("sluice_worker_allocated_bytes_total"), Value($"sluice_model_inferences_total{{model=\"{model}\""),
            Value($"sluice_model_executions_total{{model=\"{model}\""));
    }

    public static HttpClient Client(int port)
    {
        var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        client.DefaultRequestHeaders.Authorization = new System.Net.Http.Headers.AuthenticationHeaderValue("Bearer", WorkerProcess.Token);
        return client;
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

/// <summary>A worker's counters at one moment.</summary>
/// <param name="Allocated">Managed bytes since its start.</param>
/// <param name="Rows">Rows inferred by a model.</param>
/// <param name="Runs">Its runs.</param>
internal readonly record struct WorkerCounters(double Allocated, double Rows, double Runs)
{
    public static WorkerCounters operator +(WorkerCounters a, WorkerCounters b) => new(a.Allocated + b.Allocated, a.Rows + b.Rows, a.Runs + b.Runs);

    public static WorkerCounters operator -(WorkerCounters a, WorkerCounters b) => new(a.Allocated - b.Allocated, a.Rows - b.Rows, a.Runs - b.Runs);
}
