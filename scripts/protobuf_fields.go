//go:build ignore

// Prints core/apiserver/protobuf_fields.json: the field numbers of the Kubernetes types that clients send as protobuf,
// read from the struct tags of k8s.io/api. Only needed again when a kind is added:
//
//	mkdir /tmp/fields && cp scripts/protobuf_fields.go /tmp/fields/main.go && cd /tmp/fields
//	sed -i /go:build/d main.go && go mod init fields && go get k8s.io/api@v0.32.0 && go mod tidy
//	go run main.go > …/core/apiserver/protobuf_fields.json
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var roots = map[string]any{
	"v1/Pod": corev1.Pod{}, "v1/Service": corev1.Service{}, "v1/Endpoints": corev1.Endpoints{},
	"v1/Secret": corev1.Secret{}, "v1/ConfigMap": corev1.ConfigMap{}, "v1/Namespace": corev1.Namespace{},
	"v1/ServiceAccount": corev1.ServiceAccount{}, "v1/Event": corev1.Event{},
	"v1/PersistentVolumeClaim": corev1.PersistentVolumeClaim{}, "v1/PersistentVolume": corev1.PersistentVolume{},
	"storage.k8s.io/v1/StorageClass": storagev1.StorageClass{},
	"apps/v1/Deployment": appsv1.Deployment{}, "autoscaling/v1/Scale": autoscalingv1.Scale{},
	"autoscaling/v1/HorizontalPodAutoscaler": autoscalingv1.HorizontalPodAutoscaler{},
	"autoscaling/v2/HorizontalPodAutoscaler": autoscalingv2.HorizontalPodAutoscaler{}, "batch/v1/Job": batchv1.Job{},
	"discovery.k8s.io/v1/EndpointSlice":                discoveryv1.EndpointSlice{},
	"authorization.k8s.io/v1/SelfSubjectAccessReview":  authorizationv1.SelfSubjectAccessReview{},
	"authorization.k8s.io/v1/SubjectAccessReview":      authorizationv1.SubjectAccessReview{},
	"rbac.authorization.k8s.io/v1/Role":                rbacv1.Role{},
	"rbac.authorization.k8s.io/v1/ClusterRole":         rbacv1.ClusterRole{},
	"rbac.authorization.k8s.io/v1/RoleBinding":         rbacv1.RoleBinding{},
	"rbac.authorization.k8s.io/v1/ClusterRoleBinding":  rbacv1.ClusterRoleBinding{},
	"authorization.k8s.io/v1/SelfSubjectRulesReview":   authorizationv1.SelfSubjectRulesReview{},
	"authentication.k8s.io/v1/SelfSubjectReview":       authenticationv1.SelfSubjectReview{},
	"DeleteOptions":                                    metav1.DeleteOptions{},
}

// Types that JSON writes in a form of their own.
var special = map[string]bool{
	"v1.Time": true, "v1.MicroTime": true, "resource.Quantity": true, "intstr.IntOrString": true,
	"v1.FieldsV1": true, "runtime.RawExtension": true,
}

var messages = map[string]map[string][]string{}

func nameOf(t reflect.Type) string {
	path := strings.Split(t.PkgPath(), "/")
	group := path[len(path)-2]
	if group == "meta" || group == "core" {
		return t.Name()
	}
	if group == "autoscaling" { // two versions of one type
		group += path[len(path)-1]
	}
	return group + "." + t.Name()
}

// typeOf names a Go type: a scalar, a special one, a message, or `[]T` and `map:T` of those.
func typeOf(t reflect.Type) string {
	if special[t.String()] {
		return t.Name()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + typeOf(t.Elem())
	case reflect.Map:
		return "map:" + typeOf(t.Elem())
	case reflect.Struct:
		visit(t)
		return nameOf(t)
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "string"
	case reflect.Float32, reflect.Float64:
		panic("no floats in these types: " + t.String())
	default:
		return "int"
	}
}

func visit(t reflect.Type) {
	name := nameOf(t)
	if messages[name] != nil {
		return
	}
	fields := map[string][]string{}
	messages[name] = fields
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("protobuf")
		if tag == "" {
			continue
		}
		number := strings.Split(tag, ",")[1]
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[number] = []string{key, typeOf(f.Type)} // an empty key: the fields stand in the object itself
		if strings.Contains(options, "omitempty") && f.Type.Kind() != reflect.Pointer {
			fields[number] = append(fields[number], "omitempty")
		}
	}
}

func main() {
	kinds := map[string]string{}
	for name, value := range roots {
		t := reflect.TypeOf(value)
		visit(t)
		kinds[name] = nameOf(t)
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]any{"kinds": kinds, "messages": messages}); err != nil {
		panic(err)
	}
}
