using System.Text.Json.Nodes;
using k8s;
using k8s.Models;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;
using Sluice.Domain.Placement;
using Sluice.Hosting;
using Sluice.Hosting.Kubernetes;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>What the host reads from Pod and Node objects, as API servers write them.</summary>
public sealed class KubernetesFormatsTest
{
    /// <summary>The status of a pod, how far it is, and the reason that operators see.</summary>
    public static TheoryData<string, string, string> Statuses => new()
    {
        { """{"phase":"Pending"}""", "Unscheduled", "" },
        {
            """
            {"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable",
             "message":"0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}]}
            """,
            "Unscheduled", "no node has room: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
        },
        {
            """
            {"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated",
             "message":"Scheduling is blocked due to non-empty scheduling gates"}]}
            """,
            "Unscheduled", "waits for its queue: Scheduling is blocked due to non-empty scheduling gates"
        },
        { Waiting("ContainerCreating", ""), "Preparing", "ContainerCreating" },
        { Waiting("ImagePullBackOff", "Back-off pulling image x"), "Preparing",
            "the image could not be pulled: Back-off pulling image x" },
        { Waiting("CreateContainerConfigError", "secret y not found"), "Preparing",
            "the container cannot be configured: secret y not found" },
        { Container("""{"running":{"startedAt":"2026-11-30T00:00:00Z"}}""", "Running"), "Running", "" },
        { Container("""{"terminated":{"exitCode":0,"reason":"Completed"}}""", "Succeeded"), "Ended", "exit code 0" },
        { Container("""{"terminated":{"exitCode":137,"reason":"Error"}}""", "Failed"), "Ended", "ended by SIGKILL" },
        { Container("""{"terminated":{"exitCode":137,"reason":"OOMKilled"}}""", "Failed"), "Ended",
            "killed: out of memory (limit 64 MiB)" },
        { Container("""{"terminated":{"exitCode":128,"reason":"StartError","message":"no such file"}}""", "Failed"),
            "Ended", "exit code 128: no such file" },
        // Kubernetes 1.20 to 1.26: the container is still in the state "running" (seen on 1.20.2).
        { """
          {"phase":"Failed","reason":"DeadlineExceeded","message":"Pod was active on the node longer than allowed",
           "containerStatuses":[{"name":"worker","state":{"running":{"startedAt":"2026-11-30T10:00:00Z"}}}]}
          """, "Ended",
            "ended at its deadline, which a stop sets: Pod was active on the node longer than allowed" },
        { """{"phase":"Failed","reason":"Evicted","message":"The node was low on resource: memory."}""", "Ended",
            "evicted by its node: The node was low on resource: memory." },
        { """{"phase":"Failed","reason":"UnexpectedAdmissionError","message":"Allocate failed"}""", "Ended",
            "rejected by its node, whose devices changed: Allocate failed" },
        { """{"phase":"Failed","reason":"NodeShutdown"}""", "Ended", "its node shut down" },
        { """{"phase":"Failed","reason":"SomethingNew","message":"text"}""", "Ended", "SomethingNew: text" },
    };

    [Theory]
    [MemberData(nameof(Statuses))]
    public void Each_state_of_a_pod_has_a_reason_for_operators(string status, string progress, string reason)
    {
        var observed = PodReader.Read(Pod(status));
        Assert.Equal((progress, reason), (observed.Progress.ToString(), observed.Reason));
    }

    [Fact]
    public void A_pod_that_is_deleted_or_preempted_leaves()
    {
        var pod = Pod(Container("""{"running":{}}""", "Running"));
        Assert.Null(PodReader.Read(pod).Leaving);
        pod.Metadata.DeletionTimestamp = TimeProvider.System.GetUtcNow().UtcDateTime;
        Assert.StartsWith("deleted by another client", PodReader.Read(pod).Leaving, StringComparison.Ordinal);
        pod.Status.Conditions =
        [
            new V1PodCondition
            {
                Type = "DisruptionTarget", Status = "True", Reason = "PreemptionByScheduler", Message = "preempted",
            },
        ];
        Assert.Equal("preempted by a pod with a higher priority: preempted", PodReader.Read(pod).Leaving);
    }

    [Fact]
    public void Waits_that_only_a_change_ends_fail_the_start_and_others_do_not()
    {
        var wait = new StartWait(TimeSpan.FromMinutes(10), 0);
        var pending = Read("""{"phase":"Pending"}""");
        Assert.Equal((null, TimeSpan.FromSeconds(1)), wait.Decide(pending, null, Seconds(599)));
        Assert.StartsWith("no node took the pod within 600 s",
            wait.Decide(pending, null, Seconds(600)).Failure, StringComparison.Ordinal);
        Assert.Equal("too large", wait.Decide(pending, "too large", Seconds(0)).Failure);

        wait = new StartWait(TimeSpan.FromMinutes(10), 0);
        var gated = Read("""
            {"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}]}
            """);
        Assert.Null(wait.Decide(gated, null, Seconds(9000)).Failure);
        Assert.Equal((null, TimeSpan.FromSeconds(1)), wait.Decide(pending, null, Seconds(9599)));
        Assert.NotNull(wait.Decide(pending, null, Seconds(9600)).Failure);

        wait = new StartWait(TimeSpan.FromMinutes(10), 0);
        var (pulls, fails) = (Read(Waiting("ErrImagePull", "x")), Read(Waiting("ImagePullBackOff", "x")));
        Assert.Null(wait.Decide(Read(Waiting("ContainerCreating", "")), null, Seconds(100)).Failure);
        Assert.Null(wait.Decide(pulls, null, Seconds(101)).Failure);
        Assert.Null(wait.Decide(fails, null, Seconds(130)).Failure);
        // Both reasons are of one problem, whose time began with the first.
        Assert.Equal("the image could not be pulled: x", wait.Decide(fails, null, Seconds(131)).Failure);
        Assert.Equal([("schedule", 100_000d), ("start", 31_000d)],
            wait.Stages(Seconds(131)).Select(s => (s.Name, s.Ms)));
        Assert.Equal("the name of the image is invalid",
            new StartWait(TimeSpan.FromMinutes(1), 0)
                .Decide(Read(Waiting("InvalidImageName", "")), null, Seconds(0)).Failure);
    }

    [Fact]
    public void Gpus_of_nodes_are_read_from_the_labels_of_gpu_feature_discovery()
    {
        var inventory = NodeInventory.Build(
        [
            Node("b", Labels("gpu.product=NVIDIA-H100-80GB-HBM3 gpu.memory=81559 gpu.compute.major=9 "
                + "gpu.compute.minor=0 cuda.driver-version.full=580.95.05"), """{"nvidia.com/gpu":"2","cpu":"64"}"""),
            Node("a", Labels("gpu.product=NVIDIA-A100-SXM4-40GB gpu.compute.major=8 cuda.driver.major=535 "
                + "cuda.driver.minor=104 cuda.driver.rev=05"),
                """{"nvidia.com/mig-1g.5gb":"2","nvidia.com/mig-3g.20gb":"1","nvidia.com/mig-1g.5gb.me":"1"}"""),
            Node("c", Labels("gpu.product=NVIDIA-L4-SHARED gpu.sharing-strategy=time-slicing gpu.replicas=4"),
                """{"nvidia.com/gpu":"4"}"""),
            Node("d", "{}", """{"cpu":"4"}"""),
        ]);
        Assert.Null(inventory.Error);
        var h100 = inventory.Gpus.Where(g => g.Node == "b").ToList();
        Assert.Equal(["b:nvidia.com/gpu:0", "b:nvidia.com/gpu:1"], h100.Select(g => g.Uuid));
        Assert.Equal(("580.95.05", 81559, new ComputeCapability(9, 0)),
            (h100[0].Driver, h100[0].MemoryMiB, h100[0].ComputeCapability));
        Assert.Equal("H100", GpuModelCatalog.Find(h100[0].Name)?.Id);
        Assert.Null(h100[0].Fault);

        var a100 = Assert.Single(inventory.Gpus, g => g.Node == "a");
        Assert.True(a100.MigEnabled);
        Assert.Equal("535.104.05", a100.Driver);
        Assert.Equal(["1g.5gb", "1g.5gb", "1g.5gb+me", "3g.20gb"], a100.Slices.Select(s => s.Profile.ToString()));
        Assert.Equal("A100-40", GpuModelCatalog.Find(a100.Name)?.Id);
        Assert.Equal("its node shares each GPU among 4 pods (time-slicing), which does not isolate their memory",
            inventory.Gpus.First(g => g.Node == "c").Fault);
        Assert.Contains("install NVIDIA's GPU operator", NodeInventory.Build([]).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_whose_gpus_are_all_cut_into_equal_slices_has_no_whole_gpu()
    {
        var node = Node("a", Labels("gpu.product=NVIDIA-A100-SXM4-40GB-MIG-1g.5gb gpu.memory=4864"),
            """{"nvidia.com/gpu":"2"}""");
        var gpu = Assert.Single(NodeInventory.Build([node]).Gpus);
        Assert.Equal(("NVIDIA-A100-SXM4-40GB", true), (gpu.Name, gpu.MigEnabled));
        Assert.Equal([("a:nvidia.com/gpu:0", "1g.5gb"), ("a:nvidia.com/gpu:1", "1g.5gb")],
            gpu.Slices.Select(s => (s.Uuid, s.Profile.ToString())));
        Assert.Equal(1, NodeDevice.Count([gpu.Slices[0].Uuid])["nvidia.com/gpu"]);

        node = Node("a", Labels("gpu.product=NVIDIA-A100-SXM4-40GB-MIG-INVALID"), """{"nvidia.com/gpu":"2"}""");
        gpu = Assert.Single(NodeInventory.Build([node]).Gpus);
        Assert.Empty(gpu.Slices);
        Assert.Equal("its MIG slices have the unknown profile 'INVALID'", gpu.Fault);
    }

    [Theory]
    [InlineData("NVIDIA-A100-SXM4-80GB", null, 12)]
    [InlineData("NVIDIA-H100-80GB-HBM3", null, 18)]
    [InlineData("NVIDIA-H200", null, 18)]
    [InlineData("NVIDIA-B200", null, 18)]
    [InlineData("NVIDIA-H200", "false", 0)]
    [InlineData("NVIDIA-H200", "other", 18)]
    [InlineData("NVIDIA-A100-PCIE-40GB", null, 0)]
    [InlineData("NVIDIA-H100-PCIe", null, 0)]
    [InlineData("NVIDIA-H200-NVL", null, 0)]
    [InlineData("NVIDIA-H200-NVL", "true", 18)]
    [InlineData("Tesla-V100-SXM2-16GB", null, 0)]
    [InlineData("NVIDIA-L4", null, 0)]
    [InlineData("NVIDIA-L4", "true", 1)]
    public void Nvlinks_follow_from_the_name_of_the_gpus_or_from_a_label(string name, string? label, int links)
    {
        var labels = JsonNode.Parse(Labels($"gpu.product={name}"))!.AsObject();
        if (label is not null) labels["sluice/nvlink"] = label;
        var inventory = NodeInventory.Build([
            Node("a", labels.ToJsonString(), """{"nvidia.com/gpu":"3"}"""),
            Node("b", labels.ToJsonString(), """{"nvidia.com/gpu":"1","nvidia.com/mig-1g.10gb":"2"}""")]);
        Assert.Equal(links == 0 ? 0 : 3, inventory.Links.Count);
        Assert.All(inventory.Links, l => Assert.Equal((LinkKind.NV, links), (l.Kind, l.NvLinks)));
        Assert.All(inventory.Links, l => Assert.StartsWith("a:", l.A, StringComparison.Ordinal));
        Assert.All(inventory.Links, l => Assert.StartsWith("a:", l.B, StringComparison.Ordinal));
        var needs = new GpuRequirements { Count = 2, NvLink = true };
        var placed = Assert.Single(PlacementPlanner.Place(
            inventory, [], [new GpuRequest { Id = "w", EndpointId = "e", Needs = needs }]));
        Assert.Equal(links > 0 ? 2 : 0, placed.Devices.Count);
    }

    [Fact]
    public void A_cordoned_node_and_one_that_is_not_ready_get_no_pods()
    {
        var node = Node("a", "{}", """{"nvidia.com/gpu":"1"}""");
        node.Spec = new V1NodeSpec { Unschedulable = true };
        Assert.Equal("its node is cordoned", Assert.Single(NodeInventory.Build([node]).Gpus).Fault);
        node.Spec = null;
        node.Status.Conditions = [new V1NodeCondition { Type = "Ready", Status = "Unknown" }];
        Assert.Equal("its node is not ready", Assert.Single(NodeInventory.Build([node]).Gpus).Fault);
    }

    [Fact]
    public void A_pod_meets_the_restricted_standard_and_has_no_secret_in_it()
    {
        var order = Order(
            new Template { Name = "t", Env = new Dictionary<string, string> { ["KEY"] = "secret" } });
        var pod = Build(order);
        var json = KubernetesJson.Serialize(pod);
        Assert.DoesNotContain("secret-token", json, StringComparison.Ordinal);
        Assert.DoesNotContain("\"secret\"", json, StringComparison.Ordinal);
        var (spec, container) = (pod.Spec, pod.Spec.Containers[0]);
        Assert.Equal((65532, 65532, true), (spec.SecurityContext.RunAsUser, spec.SecurityContext.RunAsGroup,
            spec.SecurityContext.RunAsNonRoot));
        Assert.Equal("RuntimeDefault", spec.SecurityContext.SeccompProfile.Type);
        Assert.Equal((false, true), (container.SecurityContext.AllowPrivilegeEscalation,
            container.SecurityContext.ReadOnlyRootFilesystem));
        Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
        Assert.Equal((false, false, "Never"), (spec.AutomountServiceAccountToken, spec.EnableServiceLinks,
            spec.RestartPolicy));
        Assert.True(pod.Metadata.OwnerReferences[0].Controller);

        var secret = PodManifest.BuildSecret(order, new KubernetesSettings(), "secret-token", "uid");
        Assert.Equal(("secret-token", "secret", "8000"), (secret.StringData["SLUICE_POD_TOKEN"],
            secret.StringData["KEY"], secret.StringData["PORT"]));
        Assert.Equal(("Pod", "uid"), (secret.Metadata.OwnerReferences[0].Kind, secret.Metadata.OwnerReferences[0].Uid));
    }

    [Fact]
    public void An_order_is_read_back_from_the_annotations()
    {
        var order = Order(new Template { Name = "t", Gpu = new GpuRequirements() }, "n1:nvidia.com/gpu:0") with
        {
            Fingerprint = "f", Epoch = 7, Node = "n1",
        };
        var read = PodAnnotations.Read(Build(order).Metadata.Annotations)!;
        Assert.Equal(("e-1", "f", 7, "n1"), (read.PodId, read.Fingerprint, read.Epoch, read.Node));
        Assert.Equal(order.Devices, read.Devices);
        Assert.Equal("e", read.Deployment.Endpoint.Id);
        Assert.Null(PodAnnotations.Read(
            new Dictionary<string, string> { ["sluice/pod"] = "x", ["sluice/declared"] = "{" }));
    }

    [Fact]
    public void Devices_are_requested_by_resource_on_their_node_and_chosen_by_the_device_plugin()
    {
        var order = Order(new Template { Name = "t", Gpu = new GpuRequirements { Count = 2 } },
            "n1:nvidia.com/gpu:0", "n1:nvidia.com/gpu:3") with { Node = "n1" };
        var pod = Build(order);
        Assert.Equal("2", pod.Spec.Containers[0].Resources.Limits["nvidia.com/gpu"].ToString());
        var term = pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0];
        Assert.Equal("n1", term.MatchFields[0].Values[0]);
        Assert.Contains(pod.Spec.Tolerations, t => t.Key == "nvidia.com/gpu");
        Assert.Equal("sluice-worker-gpu:latest", pod.Spec.Containers[0].Image);
        var env = PodManifest.BuildSecret(order, new KubernetesSettings(), "t", "u").StringData;
        Assert.Equal("cuda", env["SLUICE_EXECUTION_PROVIDERS"]);
        Assert.False(env.ContainsKey("CUDA_VISIBLE_DEVICES"));

        var slice = Build(
            Order(new Template { Name = "t", Gpu = new GpuRequirements() }, "n1:nvidia.com/mig-1g.10gb:4"));
        Assert.Equal("1", slice.Spec.Containers[0].Resources.Limits["nvidia.com/mig-1g.10gb"].ToString());
    }

    [Fact]
    public void The_policy_of_a_template_is_in_its_pods()
    {
        var policy = new KubernetesPolicy
        {
            Queue = "inference",
            PriorityClass = "low",
            RuntimeClass = "kata",
            NodeSelector = new Dictionary<string, string> { ["pool"] = "spot" },
            Tolerations =
            [
                new NodeToleration { Key = "spot" },
                new NodeToleration { Key = "team", Value = "a", Effect = "NoExecute" },
            ],
            SafeToEvict = true,
        };
        var pod = Build(Order(new Template { Name = "t", Kubernetes = policy }));
        Assert.Equal("inference", pod.Metadata.Labels["kueue.x-k8s.io/queue-name"]);
        Assert.Equal("true", pod.Metadata.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"]);
        Assert.Equal(("low", "kata"), (pod.Spec.PriorityClassName, pod.Spec.RuntimeClassName));
        Assert.Equal("spot", pod.Spec.NodeSelector["pool"]);
        Assert.Equal(["spot Exists  ", "team Equal a NoExecute"],
            pod.Spec.Tolerations.Where(t => t.Key is "spot" or "team")
                .Select(t => $"{t.Key} {t.OperatorProperty} {t.Value} {t.Effect}"));

        var plain = Build(Order(new Template { Name = "t" }));
        Assert.Null(plain.Spec.PriorityClassName);
        Assert.DoesNotContain("kueue.x-k8s.io/queue-name", plain.Metadata.Labels.Keys);
        Assert.DoesNotContain("cluster-autoscaler.kubernetes.io/safe-to-evict", plain.Metadata.Annotations.Keys);
    }

    [Fact]
    public void What_Kubernetes_cannot_do_is_refused_with_the_field()
    {
        Refused("container.user of template t is 'www'; expected numbers", new ContainerRequirements { User = "www" });
        Refused("container.mounts[0].source of template t is 'data'; expected no mounts, because SLUICE_KUBER",
            new ContainerRequirements { Mounts = [new ContainerMount { Source = "data", Target = "/data" }] });
        var share = Assert.Throws<InvalidOperationException>(
            () => Build(Order(new Template { Name = "t" }) with { ShareMiB = 1024 }));
        Assert.StartsWith("gpu.share of template t is set; expected a whole GPU", share.Message,
            StringComparison.Ordinal);

        static void Refused(string message, ContainerRequirements needs)
        {
            var e = Assert.Throws<InvalidOperationException>(
                () => Build(Order(new Template { Name = "t", Container = needs })));
            Assert.StartsWith(message, e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Settings_are_read_and_invalid_ones_are_named()
    {
        var settings = KubernetesSettingsReader.Read(name => name switch
        {
            "SLUICE_KUBERNETES_MODELS" => "models/shared/onnx",
            "SLUICE_KUBERNETES_MOUNTS" => "a, b",
            "SLUICE_KUBERNETES_SCHEDULE_TIMEOUT" => "90s",
            _ => null,
        });
        Assert.Equal(new ClaimPath("models", "shared/onnx"), settings.Models);
        Assert.Equal(["a", "b"], settings.Mountable);
        Assert.Equal(TimeSpan.FromSeconds(90), settings.ScheduleTimeout);
        foreach (var (name, value) in new[]
        {
            ("SLUICE_KUBERNETES_MODELS", "Models"), ("SLUICE_KUBERNETES_MODELS", "models/../x"),
            ("SLUICE_KUBERNETES_OWNER", "a_b"), ("SLUICE_KUBERNETES_NODES", "yes"),
            ("SLUICE_KUBERNETES_SCHEDULE_TIMEOUT", "soon"), ("SLUICE_KUBERNETES_PULL_SECRETS", "a,B"),
        })
        {
            var e = Assert.Throws<InvalidOperationException>(
                () => KubernetesSettingsReader.Read(n => n == name ? value : null));
            Assert.StartsWith($"{name} is '", e.Message, StringComparison.Ordinal);
        }
    }

    private static V1Pod Build(PodSpec order) => PodManifest.Build(order, new KubernetesSettings(), "host",
        new V1OwnerReference { Kind = "ConfigMap", Name = "sluice", Uid = "owner", Controller = true });

    private static PodSpec Order(Template template, params string[] devices) => new(
        new Deployment(new Endpoint { Id = "e", Template = "t" }, template), "e-1",
        devices.Length > 0 ? devices : null);

    private static ObservedPod Read(string status) => PodReader.Read(Pod(status));

    private static V1Pod Pod(string status)
    {
        var pod = StubKubernetes.Named("sluice-e-1");
        pod["status"] = JsonNode.Parse(status);
        pod["spec"] = JsonNode.Parse(
            """{"containers":[{"name":"worker","resources":{"limits":{"memory":"64Mi"}}}]}""");
        return KubernetesJson.Deserialize<V1Pod>(pod.ToJsonString());
    }

    private static V1Node Node(string name, string labels, string allocatable)
    {
        var node = StubKubernetes.Named(name);
        node["metadata"]!["labels"] = JsonNode.Parse(labels);
        node["status"] = new JsonObject { ["allocatable"] = JsonNode.Parse(allocatable) };
        return KubernetesJson.Deserialize<V1Node>(node.ToJsonString());
    }

    private static string Labels(string text) => new JsonObject(text.Split(' ').Select(l => l.Split('='))
        .Select(l => KeyValuePair.Create($"nvidia.com/{l[0]}", (JsonNode?)l[1]))).ToJsonString();

    private static string Waiting(string reason, string message) => Container(
        new JsonObject { ["waiting"] = new JsonObject { ["reason"] = reason, ["message"] = message } }.ToJsonString(),
        "Pending");

    private static string Container(string state, string phase) => $$"""
        {"phase":"{{phase}}","podIP":"10.0.0.1","conditions":[{"type":"PodScheduled","status":"True"}],
         "containerStatuses":[{"name":"worker","image":"","imageID":"","ready":false,"restartCount":0,
          "state":{{state}}}]}
        """;

    private static TimeSpan Seconds(int seconds) => TimeSpan.FromSeconds(seconds);
}
