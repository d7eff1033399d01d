using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.OnnxRuntime;
using Sluice.Testing;
using Sluice.Worker.Batching;
using Sluice.Worker.Models;
using Sluice.Worker.Requests;
using Sluice.Worker.Runtime;
using Sluice.Worker.Serving;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Tests;

/// <summary>
/// Tests the batches of a real model in this process. A test occupies the only slot, and so controls which requests
/// are waiting when the slot becomes free.
/// </summary>
public sealed class BatchSchedulerTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-scheduler-").FullName;
    private readonly ExecutionSlots slots = new(1);

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Requests_that_wait_for_a_run_are_batched_and_get_their_own_rows()
    {
        using var model = Load("pairs", TinyModel.Identity("FP32", -1, 2));
        Assert.True(slots.EnterOrWait(new UnusedSlotUser()));
        var coming = Enumerable.Range(0, 9).Select(
            i => model.Scheduler.RunAsync(Floats(model, 1 + (i % 3), 2, 100 * i), default).AsTask()).ToList();
        slots.Leave();
        // The batches have at most 8 rows: 1 + 2 + 3 + 1, 2 + 3 + 1 + 2, 3.
        int[] together = [7, 7, 7, 7, 8, 8, 8, 8, 3];
        for (var i = 0; i < coming.Count; i++)
        {
            using var answer = await coming[i].WaitAsync(ChildProcess.Patience);
            Assert.Equal(together[i], answer.BatchRows);
            Assert.Equal(Enumerable.Range(100 * i, 2 * (1 + (i % 3))).Select(n => (float)n),
                MemoryMarshal.Cast<byte, float>(answer.Output(model.Outputs[0]).Raw).ToArray());
        }

        Assert.Equal(3, model.Statistics.View.Runs);
    }

    [Fact]
    public async Task A_request_without_memory_does_not_block_later_requests()
    {
        using var model = Load("wide", TinyModel.Identity("FP32", -1, -1));
        var scheduler = new BatchScheduler(
            model,
            slots,
            100,
            model.Statistics,
            r => r.Inputs[0]!.Shape[1] == 3 ? throw new InvalidOperationException("none") : model.NewTensors(r),
            model.Free);
        Assert.True(slots.EnterOrWait(new UnusedSlotUser()));
        var first = scheduler.RunAsync(Floats(model, 1, 2), default);
        var without = scheduler.RunAsync(Floats(model, 1, 3), default).AsTask();
        var behind = scheduler.RunAsync(Floats(model, 1, 4), default).AsTask();
        slots.Leave();
        (await first).Dispose();
        var refused = await Assert.ThrowsAsync<InvalidRequestException>(() => without);
        Assert.Equal(503, refused.Status);
        Assert.Contains("no memory", refused.Message, StringComparison.Ordinal);
        (await behind.WaitAsync(ChildProcess.Patience)).Dispose();
    }

    [Fact]
    public void A_failed_batch_extracts_all_requests_before_it_runs_them_separately()
    {
        using var model = Load("lookup", TinyModel.Lookup());
        var events = new List<string>();
        var (batch, tickets) = BatchOf(model, events, Index(model, 1), Index(model, 99), Index(model, 2));
        batch.Execute();
        Assert.Equal(
            ["run 3", "extract", "extract", "extract", "dispose 3", "run 1", "run 1", "dispose 1", "run 1"],
            events);
        Assert.Equal(
            [TaskStatus.RanToCompletion, TaskStatus.Faulted, TaskStatus.RanToCompletion],
            tickets.Select(t => t.Done.Status));
    }

    [Fact]
    public void A_failed_request_completes_after_the_memory_is_freed()
    {
        using var model = Load("lookup", TinyModel.Lookup());
        var events = new List<string>();
        PendingInference[] tickets = [];
        (var batch, tickets) = BatchOf(
            model,
            events,
            onDispose: () => events.Add($"completed {tickets[0].Done.IsCompleted}"),
            Index(model, 99));
        batch.Execute();
        Assert.Equal(["run 1", "dispose 1", "completed False"], events);
        Assert.True(tickets[0].Done.IsFaulted);
    }

    [Fact]
    public void Cancelled_requests_complete_after_the_memory_is_freed()
    {
        using var model = Load("lookup", TinyModel.Lookup());
        var events = new List<string>();
        PendingInference[] tickets = [];
        (var batch, tickets) = BatchOf(
            model,
            events,
            onDispose: () => events.Add($"completed {tickets[0].Done.IsCompleted}"),
            Index(model, 1));
        tickets[0].Filled = false;
        batch.Execute();
        Assert.Equal(["dispose 1", "completed False"], events);
        Assert.True(tickets[0].Done.IsFaulted);
    }

    [Fact]
    public async Task The_last_user_frees_the_model()
    {
        var model = Load("add", TinyModel.Identity("FP32", -1, 2));
        var answer = await model.Scheduler.RunAsync(Floats(model, 1, 2), default);
        model.Dispose();
        Assert.Equal(
            404,
            (await Assert.ThrowsAsync<InvalidRequestException>(
                async () => await model.Scheduler.RunAsync(Floats(model, 1, 2), default))).Status);
        Assert.Equal(2, answer.Output(model.Outputs[0]).Count);
        answer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => model.Session.NewBinding());
    }

    [Fact]
    public void A_request_with_large_rows_runs_alone_if_shapes_vary()
    {
        using var model = Load(
            "wide",
            TinyModel.Identity("FP32", -1, -1),
            new BatchLimits(MaxRows: 8, MaxBytes: 8 * 1024));
        Assert.False(Floats(model, 1, 256).Alone);
        var large = Floats(model, 1, 257);
        Assert.True(large.Alone);
        Assert.Equal((1, 9), (large.Rows, large.Share));
        Assert.IsType<SingleTensors>(model.NewTensors(large));
    }

    [Theory]
    [InlineData(256, 8, "rows do not depend on each other")]
    [InlineData(512, 4, "4 rows of 4096 bytes, because a batch can have at most 16384")]
    [InlineData(4096, 0, "a row has 32768 bytes, and a batch can have at most 16384")]
    public void The_size_of_fixed_rows_limits_the_batch(int width, int max, string why)
    {
        using var model = Load(
            "fixed",
            TinyModel.Identity("FP32", -1, width),
            new BatchLimits(MaxRows: 8, MaxBytes: 16 * 1024));
        Assert.Equal(max, model.Batching.Max);
        Assert.Contains(why, model.Batching.Why, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"inputs":[{"name":"in","datatype":"FP32","shape":[1,2],"data":[1,x]}]}""", "at line 1, byte 67")]
    [InlineData(
        "{\"inputs\":[{\"name\":\"in\",\"datatype\":\"FP32\",\"shape\":[1,2],\n\"data\":[1.5,01]}]}",
        "at line 2, byte 14")]
    public async Task An_error_in_a_list_of_numbers_has_its_position_in_the_request(string json, string says)
    {
        using var model = Load("wide", TinyModel.Identity("FP32", -1, -1));
        var request = InferRequestReader.Read(model, Encoding.UTF8.GetBytes(json), default);
        var refused = await Assert.ThrowsAsync<InvalidRequestException>(
            async () => await model.Scheduler.RunAsync(request, default));
        Assert.Contains($"failed to parse the request JSON {says}: ", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("LineNumber", refused.Message, StringComparison.Ordinal);
    }

    private LoadedModel Load(string name, byte[] bytes, BatchLimits? limits = null)
    {
        TinyModel.Put(folder, name, bytes);
        var path = Path.Combine(folder, name, "1", "model.onnx");
        return new LoadedModel(
            name,
            "1",
            new ModelFile(path, path, false),
            new ExecutionProviders(["cpu"]),
            slots,
            limits ?? new BatchLimits(8));
    }

    private static (Batch Batch, PendingInference[] Tickets) BatchOf(
        LoadedModel model,
        List<string> events,
        params InferRequest[] requests) =>
        BatchOf(model, events, () => { }, requests);

    /// <summary>Creates a batch whose requests are filled.</summary>
    private static (Batch Batch, PendingInference[] Tickets) BatchOf(
        LoadedModel model,
        List<string> events,
        Action onDispose,
        params InferRequest[] requests)
    {
        var users = new ModelReferenceCount(() => { });
        var memory = new BatchMemory(users, r => new RecordingTensors(model, model.NewTensors(r), events, onDispose));
        var batch = new Batch(memory, memory.Rent(requests[0]), 0, model.Statistics);
        var tickets = Array.ConvertAll(requests, r => new PendingInference(r, default, default));
        foreach (var ticket in tickets)
        {
            batch.Add(ticket);
            batch.Tensors.Fill(ticket.Request, ticket.FirstRow);
            ticket.Filled = true;
        }

        return (batch, tickets);
    }

    private static InferRequest Floats(LoadedModel model, int rows, int width, int first = 1) =>
        InferRequestReader.Read(model, Encoding.UTF8.GetBytes(
        $$"""{"inputs":[{"name":"in","datatype":"FP32","shape":[{{rows}},{{width}}],"data":"""
        + $$"""[{{string.Join(',', Enumerable.Range(first, rows * width))}}]}]}"""), default);

    private static InferRequest Index(LoadedModel model, int index) =>
        InferRequestReader.Read(model, Encoding.UTF8.GetBytes(
        $$"""{"inputs":[{"name":"in","datatype":"INT64","shape":[1],"data":"""
        + $$"""[{{index}}]}]}"""), ReadOnlySequence<byte>.Empty);

    private sealed class UnusedSlotUser : IExecutionSlotUser
    {
        public void Enter() => throw new InvalidOperationException("The slot user did not wait for a slot.");
    }

    /// <summary>Real tensors that record the calls.</summary>
    private sealed class RecordingTensors(
        OnnxModel model,
        TensorSet real,
        List<string> events,
        Action onDispose) : TensorSet(model)
    {
        private int rows = 1;

        public override void Fill(InferRequest request, int firstRow)
        {
            rows = firstRow + request.Rows;
            real.Fill(request, firstRow);
        }

        public override void Move(int from, int to, int count) => real.Move(from, to, count);

        public override TensorSet Extract(int first, int count)
        {
            events.Add("extract");
            return new RecordingTensors(Model, real.Extract(first, count), events, () => { });
        }

        public override void Run(RunOptions options, int count)
        {
            events.Add($"run {count}");
            real.Run(options, count);
        }

        public override OutputTensor Output(TensorSpec spec, int firstRow, int count) =>
            real.Output(spec, firstRow, count);

        public override void Dispose()
        {
            events.Add($"dispose {rows}");
            onDispose();
            real.Dispose();
        }
    }
}
